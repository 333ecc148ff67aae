"""Serves the studio, a page in the browser that makes the smiles of a photo.

python -m cmm_jax.studio

On this computer alone, unless --host says otherwise. Nothing leaves it.
"""

import os
import pathlib
import signal
import sys
import warnings
from collections.abc import Sequence

from absl import app, flags

_HOST = flags.DEFINE_string(
  "host",
  os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
  "Address to listen on; 0.0.0.0 lets everybody in your network in.",
)
_PORT = flags.DEFINE_integer("port", 7860, "Port to listen on.", 1, 65535)
_RUNS = flags.DEFINE_string(
  "runs", "runs", "Folder of the runs to compare and to show."
)


def main(argv: Sequence[str]) -> None:
  """Serves until interrupted; reports a user's mistakes in one line."""
  from cmm_jax import runtime

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  # Everything that is not neutral about a face is shown beside it.
  warnings.filterwarnings("ignore", category=UserWarning)
  try:
    from cmm_jax.studio import generators, server

    runs = generators.find_runs(pathlib.Path(_RUNS.value))
    served = server.Server(runs, _HOST.value, _PORT.value)
  except ModuleNotFoundError as error:
    sys.exit(
      f"error: the studio needs {error.name}: pip install 'cmm_jax[studio]', "
      "or start it with ./run.sh studio"
    )
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  print(f"Smile Studio: {served.address} (stop it with Ctrl+C)", flush=True)
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    served.wait()
  finally:
    served.close()


if __name__ == "__main__":
  app.run(main)

"""Writes the results of a run as one HTML page.

python -m cmm_jax.report --workdir=runs/quick

Evaluates CMM-Net on the held-out people of the run's dataset, generates smiles
from a real photo, and writes the page and its videos to <workdir>/report/.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run.", required=True
)


def main(argv: Sequence[str]) -> None:
  """Builds the report; reports a user's mistakes in one line."""
  from cmm_jax import folder_lock, run_config, runtime
  from cmm_jax.evaluation import report

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  try:
    run_config.read_config(_WORKDIR.value)  # lest a folder is made elsewhere
    with folder_lock.hold(pathlib.Path(_WORKDIR.value) / "report"):
      file = report.build(_WORKDIR.value)
  except (OSError, ValueError, ImportError) as error:
    sys.exit(f"error: {error}")
  print(f"Report: {file}, videos of the photo: {file.parent}/photo")


if __name__ == "__main__":
  app.run(main)

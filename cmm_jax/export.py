"""Writes a trained generator as one file, which needs the run no more.

python -m cmm_jax.export --workdir=runs/photos --out=smiles.safetensors

With the suffix .safetensors it holds the weights in half precision and the
config; training can start from them (config.init_from). With any other suffix
it is a StableHLO program with its weights, for CPUs, Nvidia's GPUs and TPUs and
for any number of faces; `cmm_jax/stablehlo.py` shows how to run it without this
package. Both generate:

  generator = cmm_jax.load("smiles.safetensors")
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run that trained the model.", required=True
)
_OUT = flags.DEFINE_string("out", None, "File to write.", required=True)
_MODEL = flags.DEFINE_string(
  "model", "cmm_net", "Model to export: cmm_net, video_gan or cra_net."
)


def main(argv: Sequence[str]) -> None:
  """Writes the file; reports a user's mistakes in one line."""
  import jax

  from cmm_jax import runtime, stablehlo, weights

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; the file is --out=…")
  if pathlib.Path(_OUT.value).is_dir():  # said before minutes of work
    sys.exit(
      f"error: {_OUT.value!r} is a folder: give the name of a file to write."
    )
  # A program for all platforms is traced and compared on the one that is always
  # there.
  jax.config.update("jax_platforms", "cpu")
  runtime.configure()
  try:
    if pathlib.Path(_OUT.value).suffix != weights.SUFFIX:
      print(stablehlo.write(_WORKDIR.value, _MODEL.value, _OUT.value))
    elif _MODEL.value == "cmm_net":
      print(weights.write(_WORKDIR.value, _OUT.value))
    else:
      sys.exit(
        f"error: a file of weights ({weights.SUFFIX}) holds CMM-Net; write "
        f"{_MODEL.value} as a program, to a name with another suffix."
      )
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")


if __name__ == "__main__":
  app.run(main)

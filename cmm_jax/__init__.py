"""CMM-Net: one photo of a neutral face in, several different smile videos out.

  import cmm_jax

  generator = cmm_jax.load()
  smiles = generator("photo.jpg", label="spontaneous")
  smiles.save("out")

Importing this package imports nothing else; JAX, which takes seconds, is
imported by `load`.
"""

import os
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from cmm_jax.inference import Generator, SmileGenerator
  from cmm_jax.smiles import Smiles

__all__ = ["SmileGenerator", "Smiles", "load"]


def load(
  source: str | os.PathLike | None = None, model: str = "cmm_net"
) -> "Generator":
  """Loads a generator.

  Args:
    source: the folder of a run, or a file that `cmm_jax.export` wrote; by
      default the weights that the package ships.
    model: the name of one of the models trained in the run; a file holds one.

  Raises:
    FileNotFoundError: there is no such run or file.
    ValueError: the model is unknown, or the file is damaged.
  """
  from cmm_jax import inference, runtime, stablehlo, weights

  if source is not None and not pathlib.Path(source).exists():
    raise FileNotFoundError(
      f"No run and no exported generator at {str(source)!r}; train a run with\n"
      f"  python -m cmm_jax.main --config=configs/quick.py\n"
      "or give the path of a file that cmm_jax.export wrote."
    )
  runtime.cache_programs()
  is_file = source is not None and pathlib.Path(source).is_file()
  if is_file and pathlib.Path(source).suffix != weights.SUFFIX:
    return stablehlo.load(source)
  return inference.SmileGenerator(source, model)


def __getattr__(name: str) -> Any:
  if name in __all__:
    from cmm_jax import inference

    return getattr(inference, name)  # which imports Smiles
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

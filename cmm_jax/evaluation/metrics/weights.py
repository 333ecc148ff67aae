"""Weights of published networks: where they lie, where they go in ours.

tensor_files.py reads them.
"""

import importlib.util
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def of_package(package: str, file: str, pip: str) -> pathlib.Path:
  """Where a file of an installed package lies; the package is not imported.

  Args:
    package: the name that one would import.
    file: its path within the package.
    pip: what to install.

  Raises:
    ModuleNotFoundError: the package is not installed.
    FileNotFoundError: it is, but has no such file.
  """
  spec = importlib.util.find_spec(package)
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      f"{file} comes with the package {package}, which is not installed: "
      f"pip install '{pip}'."
    )
  path = pathlib.Path(spec.origin).parent / file
  if not path.is_file():
    raise FileNotFoundError(
      f"The package {package} has no {path}: "
      f"pip install --force-reinstall '{pip}'."
    )
  return path


def fill(shapes: Any, tensors: Mapping[str, np.ndarray], source: str) -> Any:
  """A Flax network's variables, taken from a torch network's tensors.

  The Flax modules bear the torch modules' names. Torch's axes are [out, in,
  height, width] for a convolution and [out, in] for a dense layer.

  Args:
    shapes: the variables' shapes, by collection, as `jax.eval_shape` of the
      network's `init` gives them.
    tensors: by name; those that the network does not have are left out.
    source: what the tensors are called in an error.

  Raises:
    ValueError: a tensor is missing or of another shape.
  """

  def take(path, wanted):
    _, *modules, leaf = (key.key for key in path)
    name = ".".join([*modules, _TORCH_NAMES[leaf]])
    if name not in tensors:
      raise ValueError(
        f"{source} has no {name!r}: give the weights of the network that "
        "this one was made for."
      )
    found = np.asarray(tensors[name])
    if leaf == "kernel":
      found = found.transpose((2, 3, 1, 0) if found.ndim == 4 else None)
    if found.shape != wanted.shape:
      raise ValueError(
        f"{name!r} of {source} is {list(found.shape)}, not "
        f"{list(wanted.shape)} (Flax's order of axes): give the weights of "
        "the network that this one was made for."
      )
    return found.astype(wanted.dtype)

  return jax.tree_util.tree_map_with_path(take, shapes)


_TORCH_NAMES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}

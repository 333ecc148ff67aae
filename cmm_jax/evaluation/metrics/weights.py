"""Weights of published PyTorch networks in Flax networks.

`torch_checkpoint.py` reads the weights.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def fill(shapes: Any, tensors: Mapping[str, np.ndarray], source: str) -> Any:
  """Fills a Flax network's variables with a PyTorch network's tensors.

  The modules of both have the same names. PyTorch's axes are [out, in, height,
  width] for a convolution and [out, in] for a dense layer.

  Args:
    shapes: the shapes of the variables, by collection, as returned by
      `jax.eval_shape` of the network's `init`.
    tensors: by name; those that the network does not have are ignored.
    source: the name of `tensors` in error messages.

  Raises:
    ValueError: a tensor is missing or has another shape.
  """

  def tensor_of(path, wanted):
    _, *modules, leaf = (key.key for key in path)
    name = ".".join([*modules, _TORCH_NAMES[leaf]])
    if name not in tensors:
      raise ValueError(
        f"{source} has no {name!r}: pass the weights of the same network."
      )
    found = np.asarray(tensors[name])
    if leaf == "kernel":
      found = found.transpose((2, 3, 1, 0) if found.ndim == 4 else None)
    if found.shape != wanted.shape:
      raise ValueError(
        f"{name!r} of {source} is {list(found.shape)}, not "
        f"{list(wanted.shape)} (in Flax's order of axes): pass the weights of "
        "the same network."
      )
    return found.astype(wanted.dtype)

  return jax.tree_util.tree_map_with_path(tensor_of, shapes)


_TORCH_NAMES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}

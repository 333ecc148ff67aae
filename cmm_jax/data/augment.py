"""Augmentation of a clip (ours), as pure functions that run on the device.

A clip's frames share one `Transform`, so that its smile stays what it is.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, UInt8

from cmm_jax import landmarks
from cmm_jax.ops import bilinear

_PARTS = (
  landmarks.JAW,
  (*landmarks.RIGHT_BROW, *landmarks.LEFT_BROW),
  landmarks.EYES,
  (*landmarks.NOSE_BRIDGE, *landmarks.NOSE_BASE),
  landmarks.MOUTH,
)
# The part that each of the 68 points belongs to.
_PART_OF_POINT = np.concatenate(
  [np.full(len(part), number) for number, part in enumerate(_PARTS)]
)[np.argsort(np.concatenate([list(part) for part in _PARTS]))]

# Coordinates and colors need all of float32, also where matrix products are
# bfloat16 or TF32 by default.
_matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """How much training clips vary; zeros leave them as they are.

  Attributes:
    mirror: whether half of the clips are mirrored.
    stretch: standard deviation of the face's scale in height and width, and of
      its shear.
    shift: standard deviation of its position, in pixels of a 64-pixel frame.
    color: standard deviation of contrast, brightness and the mixing of
      channels.
    light: standard deviation of the light's gradient over the frame, on a
      logarithmic scale, and of the exponent of a gamma curve.
    blur: largest standard deviation of a Gaussian blur, in pixels of a
      64-pixel frame; half of the clips stay sharp.
    compression: largest step of a JPEG-like quantization, as a multiple of the
      standard's tables (1 is the quality 50); half of the clips have none.
    parts: standard deviation of the size of jaw, brows, eyes, nose and mouth
      and, in eighths of the frame, of their positions. Frames cannot follow,
      so it applies where only landmarks are read; networks that read landmarks
      alone then generalize to faces unlike those of the training split.
  """

  mirror: bool = False
  stretch: float = 0.0
  shift: float = 0.0
  color: float = 0.0
  light: float = 0.0
  blur: float = 0.0
  compression: float = 0.0
  parts: float = 0.0


class Transform(struct.PyTreeNode):
  """One random change of geometry and color.

  Attributes:
    matrix: of the face's position, about the center of the frame.
    offset: added to it, in pixels.
    mirror: whether the frame is then mirrored.
    part_scale: of each part, in x and y.
    part_offset: of each part, in pixels.
    color_matrix: of the channels, about mid-gray.
    brightness: added, in gray levels of 255.
    light_gradient: of the logarithm of the light, over half a frame.
    gamma: exponent of the pixels in [0, 1].
    blur: standard deviation in pixels; 0 is none.
    compression: multiple of JPEG's tables; 0 is none.
  """

  matrix: Float[Array, "2 2"]
  offset: Float[Array, " 2"]
  mirror: Float[Array, ""]
  part_scale: Float[Array, "parts 2"]
  part_offset: Float[Array, "parts 2"]
  color_matrix: Float[Array, "3 3"]
  brightness: Float[Array, ""]
  light_gradient: Float[Array, " 2"]
  gamma: Float[Array, ""]
  blur: Float[Array, ""]
  compression: Float[Array, ""]


# Normal variates that `make_transform` takes for one clip.
NUM_NORMALS = 4 + 2 + 1 + 4 * len(_PARTS) + 9 + 2 + 3 + 2


def make_transform(
  normals: Float[Array, "n"], augmentation: Augmentation, size: int
) -> Transform:
  """Makes a random transform for frames of `size` pixels.

  Args:
    normals: `NUM_NORMALS` standard normal variates.
    augmentation: how much clips vary.
    size: height and width of the frames.
  """
  parts = len(_PARTS)
  ends = np.cumsum([4, 2, 1, 2 * parts, 2 * parts, 9, 2, 3])
  stretch, shift, mirror, scale, offset, mixing, tone, light, degraded = (
    jnp.split(jnp.clip(normals, -2, 2), ends)
  )
  stretch = stretch.reshape(2, 2) * jnp.array([[1.0, 0.5], [0.5, 1.0]])
  matrix = jnp.eye(2) + augmentation.stretch * stretch
  center = jnp.full(2, (size - 1) / 2)
  shift = augmentation.shift * size / 64 * shift
  scale = jnp.clip(augmentation.parts * scale, -0.5, 0.5)
  color = augmentation.color
  return Transform(
    matrix=matrix,
    offset=center - _matmul(matrix, center) + shift,
    mirror=(mirror[0] > 0) & augmentation.mirror,
    part_scale=1 + scale.reshape(parts, 2),
    part_offset=size / 8 * augmentation.parts * offset.reshape(parts, 2),
    color_matrix=jnp.eye(3) * (1 + color * tone[0])
    + color / 2 * mixing.reshape(3, 3),
    brightness=255 * color / 2 * tone[1],
    light_gradient=augmentation.light * light[:2],
    gamma=jnp.exp(augmentation.light * light[2]),
    # Half of the normals are negative: nothing.
    blur=augmentation.blur * size / 64 * jnp.maximum(degraded[0], 0) / 2,
    compression=augmentation.compression * jnp.maximum(degraded[1], 0) / 2,
  )


def transform_points(
  transform: Transform, points: Float[Array, "t 68 2"], size: int
) -> Float[Array, "t 68 2"]:
  """Transforms landmarks, in pixels of frames of `size`, the parts aside."""
  points = _matmul(points, transform.matrix.T) + transform.offset[None, None]
  mirrored = points[:, landmarks.MIRROR] * jnp.array([-1.0, 1.0])[None, None]
  mirrored = mirrored + jnp.array([size - 1.0, 0.0])[None, None]
  return jnp.where(transform.mirror, mirrored, points)


def transform_parts(
  transform: Transform, points: Float[Array, "t 68 2"]
) -> Float[Array, "t 68 2"]:
  """Scales and moves each part about its center in the first frame."""
  centers = jnp.stack([points[0, list(part)].mean(axis=0) for part in _PARTS])
  center = centers[None, _PART_OF_POINT]
  scale = transform.part_scale[None, _PART_OF_POINT]
  offset = transform.part_offset[None, _PART_OF_POINT]
  return center + offset + (points - center) * scale


def transform_frames(
  transform: Transform,
  frames: UInt8[Array, "t h w 3"],
  augmentation: Augmentation,
) -> UInt8[Array, "t h w 3"]:
  """Transforms frames; the pixels at the border are repeated.

  Args:
    transform: the clip's.
    frames: of the clip.
    augmentation: that the transform was made with; what it leaves at zero is
      not computed.
  """
  size = frames.shape[1]
  places = jnp.arange(size, dtype=jnp.float32)
  # Where each pixel of the result comes from: mirror first, then the inverse.
  column = jnp.where(transform.mirror, size - 1 - places, places)
  x, y = jnp.meshgrid(column, places)
  (a, b), (c, d) = transform.matrix
  x, y = x - transform.offset[0], y - transform.offset[1]
  determinant = a * d - b * c
  x, y = (d * x - b * y) / determinant, (a * y - c * x) / determinant
  shape = (len(frames), *x.shape)
  moved = bilinear.sample(
    frames.astype(jnp.float32),
    jnp.broadcast_to(x, shape),
    jnp.broadcast_to(y, shape),
  )
  middle = 127.5
  colored = _mix_channels(moved - middle, transform.color_matrix)
  colored = jnp.clip(colored + (middle + transform.brightness), 0, 255)
  if augmentation.light:
    colored = jnp.clip(_relight(transform, colored), 0, 255)
  if augmentation.blur:
    colored = _blur(transform, colored)
  if augmentation.compression:
    colored = _compress(transform, colored)
  return jnp.round(jnp.clip(colored, 0, 255)).astype(jnp.uint8)


def _mix_channels(frames, matrix):
  """frames @ matrix.T, whose product is too narrow for XLA's on CPUs."""
  channels = jnp.split(frames, 3, axis=-1)
  columns = matrix.T.reshape(3, 1, 1, 1, 3)
  return sum(c * column for c, column in zip(channels, columns, strict=True))


def _relight(transform, frames):
  """A gradient of the light from side to side, and a gamma curve."""
  size = frames.shape[1]
  columns, rows = jnp.meshgrid(*[jnp.linspace(-1, 1, size)] * 2)
  x, y = transform.light_gradient
  light = jnp.exp(x * columns + y * rows)
  tone = jnp.power(frames / 255, transform.gamma)
  return 255 * tone * jnp.broadcast_to(light[..., None], tone.shape)


def _blur(transform, frames):
  """A Gaussian blur."""
  places = jnp.arange(frames.shape[1], dtype=jnp.float32)
  distance = places[:, None] - places[None, :]
  # Below a tenth of a pixel the kernel is the identity.
  kernel = jnp.exp(
    -0.5 * jnp.square(distance / jnp.maximum(transform.blur, 0.1))
  )
  kernel = kernel / jnp.sum(kernel, axis=1, keepdims=True)
  return jnp.einsum(
    "ri,tijk,cj->trck", kernel, frames, kernel,
    precision=jax.lax.Precision.HIGHEST,
  )  # fmt: skip


# The discrete cosine transform of 8 values, and JPEG's tables for luma and
# chroma at the quality 50 (ITU-T T.81, annex K).
_DCT = np.cos(np.pi / 8 * (np.arange(8) + 0.5) * np.arange(8)[:, None]) / 2
_DCT[0] /= np.sqrt(2)
_LUMA = [
  [16, 11, 10, 16, 24, 40, 51, 61],
  [12, 12, 14, 19, 26, 58, 60, 55],
  [14, 13, 16, 24, 40, 57, 69, 56],
  [14, 17, 22, 29, 51, 87, 80, 62],
  [18, 22, 37, 56, 68, 109, 103, 77],
  [24, 35, 55, 64, 81, 104, 113, 92],
  [49, 64, 78, 87, 103, 121, 120, 101],
  [72, 92, 95, 98, 112, 100, 103, 99],
]
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [
  [17, 18, 24, 47],
  [18, 21, 26, 66],
  [24, 26, 56, 99],
  [47, 66, 99, 99],
]
_TABLES = np.stack([_LUMA, _CHROMA, _CHROMA], axis=-1).astype(np.float32)
_RGB_TO_YCBCR = np.array(
  [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]],
  np.float32,
)


def _compress(transform, frames):
  """JPEG's quantization of 8x8 blocks, without subsampling of the colors."""
  t, size, _, _ = frames.shape
  blocks = frames.reshape(t, size // 8, 8, size // 8, 8, 3) - 128
  forward = np.float32(_DCT)
  transformed = jnp.einsum(
    "ui,vj,tricjk,lk->tcruvl", forward, forward, blocks, _RGB_TO_YCBCR,
    precision=jax.lax.Precision.HIGHEST,
  )  # fmt: skip
  steps = jnp.maximum(transform.compression * _TABLES, 1e-3)
  steps = jnp.broadcast_to(steps, transformed.shape)
  quantized = steps * jnp.round(transformed / steps)
  blocks = jnp.einsum(
    "ui,vj,tcruvl,kl->tricjk", forward, forward, quantized,
    np.linalg.inv(_RGB_TO_YCBCR),
    precision=jax.lax.Precision.HIGHEST,
  )  # fmt: skip
  return blocks.reshape(frames.shape) + 128

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
    parts: standard deviation of the size of jaw, brows, eyes, nose and mouth
      and, in eighths of the frame, of their positions. Frames cannot follow,
      so it applies where only landmarks are read; networks that read landmarks
      alone then generalize to faces unlike those of the training split.
  """

  mirror: bool = False
  stretch: float = 0.0
  shift: float = 0.0
  color: float = 0.0
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
  """

  matrix: Float[Array, "2 2"]
  offset: Float[Array, " 2"]
  mirror: Float[Array, ""]
  part_scale: Float[Array, "parts 2"]
  part_offset: Float[Array, "parts 2"]
  color_matrix: Float[Array, "3 3"]
  brightness: Float[Array, ""]


# Normal variates that `make_transform` takes for one clip.
NUM_NORMALS = 4 + 2 + 1 + 4 * len(_PARTS) + 9 + 2


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
  ends = np.cumsum([4, 2, 1, 2 * parts, 2 * parts, 9])
  stretch, shift, mirror, scale, offset, mixing, tone = jnp.split(
    jnp.clip(normals, -2, 2), ends
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
  transform: Transform, frames: UInt8[Array, "t h w 3"]
) -> UInt8[Array, "t h w 3"]:
  """Transforms frames; the pixels at the border are repeated."""
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
  colored = _matmul(moved - middle, transform.color_matrix.T)
  colored = colored + (middle + transform.brightness)
  return jnp.round(jnp.clip(colored, 0, 255)).astype(jnp.uint8)

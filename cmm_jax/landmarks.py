"""The 68 facial landmarks: groups, mirroring, distances, landmark images.

The numbering is that of Multi-PIE and 300-W, which dlib and OpenFace share.
Coordinates are (x, y) in pixels, x to the right and y down. "Left" and "right"
in names are the person's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NUM_POINTS = 68

JAW = range(0, 17)
RIGHT_BROW = range(17, 22)  # on the left of the image
LEFT_BROW = range(22, 27)
NOSE_BRIDGE = range(27, 31)
NOSE_BASE = range(31, 36)
RIGHT_EYE = range(36, 42)
LEFT_EYE = range(42, 48)
OUTER_LIPS = range(48, 60)
INNER_LIPS = range(60, 68)

EYES = (*RIGHT_EYE, *LEFT_EYE)
MOUTH = (*OUTER_LIPS, *INNER_LIPS)
EYE_CORNERS = (36, 39, 42, 45)  # these do not move when the eyes close
OUTER_EYE_CORNERS = (36, 45)
MOUTH_CORNERS = (48, 54)
INNER_MOUTH_CORNERS = (60, 64)

OPEN_CONTOURS = (JAW, RIGHT_BROW, LEFT_BROW, NOSE_BRIDGE, NOSE_BASE)
CLOSED_CONTOURS = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)

# MIRROR[i] is the index that point i has in a mirrored image.
MIRROR = np.array(
  [
    *reversed(JAW),
    *reversed(LEFT_BROW),
    *reversed(RIGHT_BROW),
    *NOSE_BRIDGE,
    *reversed(NOSE_BASE),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
  ]
)


def _edges(*contours):
  """The edges of contours as two arrays of point indices, [2 n]."""
  edges = []
  for contour in contours:
    closed = contour in CLOSED_CONTOURS
    ends = [*contour[1:], contour[0]] if closed else contour[1:]
    edges += zip(contour, ends, strict=False)
  return np.array(edges).T


# The edges of a landmark image, [2 n]. Those of the jaw are up to an eighth of
# the image long, the others half of that.
JAW_EDGES = _edges(JAW)
OTHER_EDGES = _edges(*OPEN_CONTOURS[1:], *CLOSED_CONTOURS)


def mirror(
  points: Float[np.ndarray, "*any 68 2"], width: int
) -> Float[np.ndarray, "*any 68 2"]:
  """The landmarks of the horizontally mirrored image, `width` pixels wide."""
  mirrored = points[..., MIRROR, :].copy()
  mirrored[..., 0] = width - 1 - mirrored[..., 0]
  return mirrored


def eyes_and_mouth(
  points: Float[np.ndarray, "*any 68 d"],
) -> tuple[Float[np.ndarray, "*any d"], Float[np.ndarray, "*any d"]]:
  """The centers of the eyes and of the mouth, from their corners.

  Args:
    points: landmarks in two or three dimensions.
  """
  return (
    points[..., EYE_CORNERS, :].mean(axis=-2),
    points[..., MOUTH_CORNERS, :].mean(axis=-2),
  )


def rescale(
  points: Float[Array, "*any 2"], size: int, new_size: int
) -> Float[Array, "*any 2"]:
  """The points in pixels of an image that is resized to `new_size` pixels."""
  return (points + 0.5) * (new_size / size) - 0.5


def interocular_distance(
  points: Float[np.ndarray, "*any 68 2"],
) -> Float[np.ndarray, "*any"]:
  """The distance between the outer eye corners, in the unit of the points."""
  right, left = OUTER_EYE_CORNERS
  return np.linalg.norm(points[..., right, :] - points[..., left, :], axis=-1)


def draw(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size}"]:
  """Draws landmark images: anti-aliased white lines, one pixel wide, on black.

  Lines follow the jaw, the brows and the nose and surround the eyes and the
  lips (ours: the paper only says that the images are binary, section 4.1).
  Anti-aliasing preserves movements of less than a pixel, of which a smile has
  many.

  Every edge is sampled at evenly spaced points, each of which is splatted
  bilinearly onto its four nearest pixels. The splat of a point is an outer
  product of a row and a column weight, so a whole image is one matrix product
  that runs inside the training step on any device.

  Args:
    points: landmarks in pixels of the image; (0, 0) is the center of the first
      pixel. Parts outside the image are not drawn.
    size: height and width of the image in pixels.

  Returns:
    Images in [0, 1].
  """
  points = jnp.asarray(points, jnp.float32)
  samples, brightness = [], []
  # About two samples per pixel, so that the lines are evenly bright.
  for (starts, ends), num_samples in (
    (JAW_EDGES, max(2, size // 4)),
    (OTHER_EDGES, max(2, size // 8)),
  ):
    fraction = ((np.arange(num_samples) + 0.5) / num_samples)[:, None]
    fraction = fraction.astype(np.float32)
    start, edge = points[..., starts, None, :], points[..., ends, None, :]
    edge = edge - start
    fraction = jnp.broadcast_to(fraction, (*edge.shape[:-2], num_samples, 1))
    along = start + fraction * edge
    length = jnp.linalg.norm(edge, axis=-1) / num_samples
    samples.append(along.reshape(*points.shape[:-2], -1, 2))
    length = jnp.broadcast_to(length, along.shape[:-1])
    brightness.append(length.reshape(*points.shape[:-2], -1))
  samples = jnp.concatenate(samples, -2)
  brightness = jnp.concatenate(brightness, -1)

  pixels = jnp.arange(size, dtype=jnp.float32)
  pixels = pixels.reshape((1,) * samples.ndim + (size,))
  weights = jnp.maximum(0, 1 - jnp.abs(samples[..., None] - pixels))
  image = jnp.einsum(
    "...nr,...nc->...rc",
    weights[..., 1, :] * brightness[..., None],
    weights[..., 0, :],
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.minimum(image, 1)


# Around the face, counterclockwise in the image: the jaw, then the brows.
_FACE = (*JAW, *reversed(LEFT_BROW), *reversed(RIGHT_BROW))

# How far soft masks reach beyond an outline, as shares of the aligned frame:
# they are 1 up to the first number, and 0 from the second on.
_FACE_FEATHER = (0.02, 0.14)
_MOUTH_FEATHER = (0.08, 0.14)
_EYE_FEATHER = (0.03, 0.07)
_LASH_FEATHER = (0.01, 0.02)


def face_mask(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size}"]:
  """A soft mask of the face: 1 inside jaw and brows, 0 far outside (ours).

  Args:
    points: landmarks in pixels of an aligned frame.
    size: height and width of the frame in pixels.

  Returns:
    Masks in [0, 1], exactly 0 from 14 % of the frame beyond the outline on.
  """
  return _soft_mask(points, _FACE, _FACE_FEATHER, size)


def opening_mask(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size}"]:
  """A soft mask of mouth and eyes, where a face shows what was hidden (ours).

  Args:
    points: landmarks of the neutral face in pixels of an aligned frame.
    size: height and width of the frame in pixels.

  Returns:
    Masks in [0, 1], exactly 0 from 14 % of the frame beyond the lips and from
    7 % beyond the eyes on.
  """
  mouth = _soft_mask(points, OUTER_LIPS, _MOUTH_FEATHER, size)
  return jnp.maximum(mouth, _both_eyes(points, _EYE_FEATHER, size))


def eye_masks(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size} 2"]:
  """Soft masks of the eyes with their lids, and of the skin around them (ours).

  Args:
    points: landmarks of the neutral face in pixels of an aligned frame.
    size: height and width of the frame in pixels.

  Returns:
    Masks in [0, 1], exactly 0 from 7 % of the frame beyond the eyes on, and
    that of the skin also within 1 % of them.
  """
  lids = _both_eyes(points, _EYE_FEATHER, size)
  lashes = _both_eyes(points, _LASH_FEATHER, size)
  return jnp.stack([lids, lids * (1 - lashes)], axis=-1)


def motion_masks(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size} 2"]:
  """Where a face may move, and where new pixels may appear in it (ours)."""
  face = face_mask(points, size)
  return jnp.stack([face, face * opening_mask(points, size)], axis=-1)


def _both_eyes(points, feather, size):
  """The soft mask of both eyes' outlines."""
  right, left = (
    _soft_mask(points, eye, feather, size) for eye in (RIGHT_EYE, LEFT_EYE)
  )
  return jnp.maximum(right, left)


def _soft_mask(points, outline, feather, size):
  """1 inside a polygon of landmarks and near it, smoothly 0 farther away."""
  start = jnp.asarray(points, jnp.float32)[..., np.array(outline), :]
  end = jnp.roll(start, -1, axis=-2)
  # All [*any n size size]: the pixels seen from each edge's start, the edges.
  shape = (*start.shape[:-1], size, size)
  columns, rows = jnp.meshgrid(*[jnp.arange(size, dtype=jnp.float32)] * 2)

  def per_edge(values):
    return jnp.broadcast_to(values[..., None, None], shape)

  x = jnp.broadcast_to(columns, shape) - per_edge(start[..., 0])
  y = jnp.broadcast_to(rows, shape) - per_edge(start[..., 1])
  edge_x = per_edge(end[..., 0] - start[..., 0])
  edge_y = per_edge(end[..., 1] - start[..., 1])
  length = jnp.maximum(jnp.square(edge_x) + jnp.square(edge_y), 1e-6)
  along = jnp.clip((x * edge_x + y * edge_y) / length, 0, 1)
  squared = jnp.square(x - along * edge_x) + jnp.square(y - along * edge_y)
  distance = jnp.sqrt(jnp.min(squared, axis=-3))
  # Even-odd rule: edges that a ray to the right crosses.
  above, next_above = y < 0, y - edge_y < 0
  slope = edge_x / jnp.where(edge_y == 0, 1, edge_y)
  crossed = (above != next_above) & (x < y * slope)
  inside = jnp.sum(crossed, axis=-3) % 2 == 1
  full, none = (share * size for share in feather)
  fade = jnp.clip((none - distance) / (none - full), 0, 1)
  return jnp.where(inside, 1.0, fade * fade * (3 - 2 * fade))

"""The 68 facial landmarks: their groups, their mirror image, their drawing.

The numbering is that of Multi-PIE and 300-W, as dlib and OpenFace give it, with
x to the right and y downwards in pixels; left and right are the picture's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NUM_POINTS = 68

JAW = range(0, 17)
RIGHT_BROW = range(17, 22)  # the person's right, on the picture's left
LEFT_BROW = range(22, 27)
NOSE_BRIDGE = range(27, 31)
NOSE_BASE = range(31, 36)
RIGHT_EYE = range(36, 42)
LEFT_EYE = range(42, 48)
OUTER_LIPS = range(48, 60)
INNER_LIPS = range(60, 68)

EYES = (*RIGHT_EYE, *LEFT_EYE)
MOUTH = (*OUTER_LIPS, *INNER_LIPS)
EYE_CORNERS = (36, 39, 42, 45)  # still while the eyes close
MOUTH_CORNERS = (48, 54)
INNER_MOUTH_CORNERS = (60, 64)

OPEN_LINES = (JAW, RIGHT_BROW, LEFT_BROW, NOSE_BRIDGE, NOSE_BASE)
CLOSED_LINES = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)

# MIRROR[i] is the point that point i becomes in a mirrored picture.
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


def _pieces(*lines):
  """The ends of the lines' pieces, as two arrays of point numbers."""
  pieces = []
  for line in lines:
    ends = [*line[1:], line[0]] if line in CLOSED_LINES else line[1:]
    pieces += zip(line, ends, strict=False)
  return np.array(pieces).T


# Between which points `draw` draws, [2 n].
# The jaw's pieces span up to an eighth of the frame, others half of that.
LONG_PIECES = _pieces(JAW)
SHORT_PIECES = _pieces(*OPEN_LINES[1:], *CLOSED_LINES)


def mirror(
  points: Float[np.ndarray, "*any 68 2"], width: int
) -> Float[np.ndarray, "*any 68 2"]:
  """The points of the mirrored picture, `width` pixels wide."""
  mirrored = points[..., MIRROR, :].copy()
  mirrored[..., 0] = width - 1 - mirrored[..., 0]
  return mirrored


def draw(
  points: Float[Array, "*any 68 2"], size: int
) -> Float[Array, "*any {size} {size}"]:
  """Draws landmark images: white lines of one pixel on black, grey edges.

  The lines run along the jaw, the brows and the nose and around the eyes and
  lips (ours: the paper says only that binary images are made, section 4.1).
  Grey edges show movements of less than a pixel, which a smile is full of.

  Each line is a row of dots that share their light among the four pixels around
  them, so that one which falls between two rows greys both. A dot's light is an
  outer product, rows by columns, so all dots of an image are one matrix
  product: it runs within the training step, on whatever device that is.

  Args:
    points: x and y in pixels of the image, (0, 0) the centre of the first one;
      what lies outside of the image is not drawn.
    size: height and width of the image in pixels.

  Returns:
    Images in [0, 1].
  """
  points = jnp.asarray(points, jnp.float32)
  places, light = [], []
  # About two dots to a pixel, so that a line is evenly bright.
  for (starts, ends), dots in (
    (LONG_PIECES, max(2, size // 4)),
    (SHORT_PIECES, max(2, size // 8)),
  ):
    share = ((np.arange(dots) + 0.5) / dots).astype(np.float32)[:, None]
    start, way = points[..., starts, None, :], points[..., ends, None, :]
    way = way - start
    row = start + jnp.broadcast_to(share, (*way.shape[:-2], dots, 1)) * way
    length = jnp.linalg.norm(way, axis=-1) / dots
    places.append(row.reshape(*points.shape[:-2], -1, 2))
    length = jnp.broadcast_to(length, row.shape[:-1])
    light.append(length.reshape(*points.shape[:-2], -1))
  places, light = jnp.concatenate(places, -2), jnp.concatenate(light, -1)

  pixels = jnp.arange(size, dtype=jnp.float32)
  pixels = pixels.reshape((1,) * places.ndim + (size,))
  tents = jnp.maximum(0, 1 - jnp.abs(places[..., None] - pixels))
  lit = jnp.einsum(
    "...dr,...dc->...rc",
    tents[..., 1, :] * light[..., None],
    tents[..., 0, :],
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.minimum(lit, 1)

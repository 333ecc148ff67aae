"""The light that enters an open mouth between the lips.

Teeth, gums and tongue are lit through the opening: they see a part of the sky,
each light casts the lips' soft shadow on them, and flesh reflects some light
into the dark. Compiled as rasterizer.py is.
"""

import numba
import numpy as np

# Decimeters between the mesh's lips and teeth, which touch in reality.
_LIPS_AWAY = np.float32(0.07)
FLESH = np.array([0.85, 0.36, 0.29], np.float32)  # linear, of what reflects

# Landmarks of the inner lips from the person's right to the left.
_UPPER_LIP = np.array([60, 61, 62, 63, 64])
_LOWER_LIP = np.array([60, 67, 66, 65, 64])
# Evaluates the polynomial through five points at 33 points.
_CURVE = (
  np.vander(np.linspace(-1, 1, 33), 5)
  @ np.linalg.inv(np.vander(np.linspace(-1, 1, 5)))
).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def lip_curves(projected, landmarks):
  """The edges of the opening, at even steps from corner to corner.

  Args:
    projected: vertices, from `rasterizer.project`.
    landmarks: the vertex of each of the 68 landmarks.

  Returns:
    float32 [33, 4]: column, row of the upper and of the lower lip in pixels,
    and the lips' z towards the camera in decimeters.
  """
  upper = np.zeros((len(_CURVE), 3), np.float32)
  lower = np.zeros((len(_CURVE), 3), np.float32)
  for row in range(len(_CURVE)):
    for point in range(5):
      weight = _CURVE[row, point]
      for axis in range(3):
        first = projected[landmarks[_UPPER_LIP[point]], axis]
        second = projected[landmarks[_LOWER_LIP[point]], axis]
        upper[row, axis] += weight * first
        lower[row, axis] += weight * second
  columns = np.linspace(upper[0, 0], upper[-1, 0], len(upper))
  curves = np.empty((len(columns), 4), np.float32)
  curves[:, 0] = columns
  curves[:, 1] = np.interp(columns, upper[:, 0], upper[:, 1])
  curves[:, 2] = np.interp(columns, lower[:, 0], lower[:, 1])
  near = (upper[:, 2] + lower[:, 2]) / 2
  curves[:, 3] = np.interp(columns, upper[:, 0], near)
  return curves


@numba.njit(nogil=True, cache=True)
def locate(x, y, z, lips, scale, place):
  """Locates a point of the mouth behind the opening.

  Args:
    x, y: in pixels.
    z: towards the camera, in decimeters.
    lips: from `lip_curves`.
    scale: pixels per decimeter.
    place: receives, in decimeters, the distances below the upper lip, above the
      lower lip, from the left and from the right corner of the mouth in the
      image (negative: outside the opening), and the depth behind the lips.
  """
  last = len(lips) - 1
  step = (lips[last, 0] - lips[0, 0]) / last
  index = min(max((x - lips[0, 0]) / step, np.float32(0.0)), last - 0.001)
  i = int(index)
  along = np.float32(index - i)
  place[0] = (y - lips[i, 1] * (1 - along) - lips[i + 1, 1] * along) / scale
  place[1] = (lips[i, 2] * (1 - along) + lips[i + 1, 2] * along - y) / scale
  place[2] = (x - lips[0, 0]) / scale
  place[3] = (lips[last, 0] - x) / scale
  behind = lips[i, 3] * (1 - along) + lips[i + 1, 3] * along - z
  place[4] = max(behind - _LIPS_AWAY, np.float32(0.012))


@numba.njit(nogil=True, cache=True)
def sky_visibility(place):
  """The fraction of the sky that a point sees through the opening."""
  fraction = np.float32(1.0)
  for first in (0, 2):
    sides = np.float32(0.0)
    for side in (first, first + 1):
      away = place[side]
      sides += away / np.sqrt(away * away + place[4] * place[4])
    fraction *= max(np.float32(0.5) * sides, np.float32(0.0))
  return fraction


@numba.njit(nogil=True, cache=True)
def reflection(place, visibility):
  """The fraction of the light that reaches a point from lips and walls."""
  gap = max(place[0] + place[1], np.float32(0.0))
  entered = (gap + np.float32(0.02)) / (gap + np.float32(0.10))
  deep = np.exp(-place[4] / np.float32(0.15))
  return np.float32(0.30) * (1 - visibility) * entered * deep


@numba.njit(nogil=True, cache=True)
def unshadowed(place, lx, ly, lz):
  """The fraction of a light from direction (lx, ly, lz) that the lips pass."""
  if lz < 0.05:
    return np.float32(0.0)
  up, right = place[4] * ly / lz, place[4] * lx / lz
  soft = np.float32(0.02) + np.float32(0.5) * place[4]
  fraction = _penumbra(place[0] - up, soft) * _penumbra(place[1] + up, soft)
  fraction *= _penumbra(place[2] + right, soft)
  return fraction * _penumbra(place[3] - right, soft)


@numba.njit(nogil=True, cache=True)
def _penumbra(distance, soft):
  """Rises from 0 to 1 across the edge of a soft shadow."""
  t = min(max(distance / soft + np.float32(0.3), 0.0), 1.0)
  return np.float32(t * t * (3 - 2 * t))

"""From sRGB to linear light, and from linear light to the bytes of an image.

Compiled, without a lock and without fast-math, as in rasterizer.py.
"""

import numba
import numpy as np
from jaxtyping import Float

_CURVE_STEPS = 4096


def srgb_to_linear(
  color: Float[np.ndarray, "*any"],
) -> Float[np.ndarray, "*any"]:
  """Converts sRGB values, 0 to 1, to linear light."""
  return (np.clip(color, 0, 1) ** 2.2).astype(np.float32)


def _tone_curve():
  """Bytes for linear light from 0 to 4: a soft shoulder, then sRGB's gamma."""
  light = np.linspace(0, 4, _CURVE_STEPS)
  bent = 0.7 + 0.3 * (1 - np.exp(-np.maximum(light - 0.7, 0) / 0.3))
  light = np.where(light > 0.7, bent, light)  # approaches white, never clips
  return (255 * light ** (1 / 2.2)).astype(np.float32)


_TONE_CURVE = _tone_curve()


@numba.njit(nogil=True, cache=True)
def tone_map(image, exposure, noise, seed):
  """Converts linear light to bytes and adds the sensor's noise.

  Args:
    image: linear light, [h, w, 3].
    exposure: factor on the light.
    noise: standard deviation in levels of 255.
    seed: of the noise.

  Returns:
    uint8 [h, w, 3].
  """
  height, width, _ = image.shape
  result = np.empty((height, width, 3), np.uint8)
  state = np.uint64(seed) * np.uint64(2654435761) + np.uint64(88172645463325252)
  for y in range(height):
    for x in range(width):
      for channel in range(3):
        light = image[y, x, channel] * exposure * np.float32(_CURVE_STEPS / 4)
        index = min(max(light, np.float32(0.0)), np.float32(_CURVE_STEPS - 2))
        step = int(index)
        value = _TONE_CURVE[step] + (index - step) * (
          _TONE_CURVE[step + 1] - _TONE_CURVE[step]
        )
        # Xorshift; the sum of four of its bytes is nearly normal.
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        word = state >> np.uint64(24)
        total = np.float32(0.0)
        for _ in range(4):
          total += np.float32(word & np.uint64(255)) - np.float32(127.5)
          word >>= np.uint64(8)
        value += noise * total / np.float32(147.8)
        result[y, x, channel] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
  return result

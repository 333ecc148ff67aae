"""The avatar's textures, as encoded images.

Skin, teeth and hair are those that the renderer paints; the eye is painted
here, for a closer look than the renderer's 64 pixels.
"""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax.virtual_face import head
from cmm_jax.virtual_face.appearance import Person

_EYE_SIZE = 512
# Sines of the angles to the gaze at which pupil and iris end, as in shading.py.
_PUPIL, _IRIS = 0.16, 0.44


def skin(person: Person) -> bytes:
  """The skin, a JPEG."""
  return _encode(Image.fromarray(_to_srgb(person.skin[..., :3])), "JPEG")


def teeth(person: Person) -> bytes:
  """Both dental arches with their outline as alpha, a PNG."""
  texture = person.teeth[0]
  alpha = np.round(255 * np.clip(texture[..., 5:], 0, 1)).astype(np.uint8)
  rgba = np.concatenate([_to_srgb(texture[..., :3]), alpha], axis=-1)
  return _encode(Image.fromarray(rgba), "PNG")


def hair(person: Person) -> bytes:
  """The strands, a JPEG."""
  strands = person.strands[..., None]
  color = person.colors[head.HAIR] * (0.45 + 1.1 * strands)
  return _encode(Image.fromarray(_to_srgb(color)), "JPEG")


def eye(person: Person) -> bytes:
  """The front of an eyeball from straight ahead, a JPEG."""
  axis = (np.arange(_EYE_SIZE) + 0.5) / _EYE_SIZE * 2 - 1
  x, y = np.meshgrid(axis, -axis)
  off, angle = np.hypot(x, y), np.arctan2(y, x)
  rng = np.random.default_rng(0)
  fibers = _fibers(angle, off, rng)
  inside = (off - _PUPIL) / (_IRIS - _PUPIL)
  iris = 1.1 + 1.0 * np.clip(inside, 0, 1) + 0.5 * fibers
  iris *= 1 - 0.65 * _step(off - 0.93 * _IRIS, 0.05)  # the limbal ring
  color = person.colors[head.IRIS] * iris[..., None]
  color *= _step(off - _PUPIL, 0.02)[..., None]
  sclera = person.colors[head.SCLERA] * np.ones_like(color)
  red = np.clip((off - 0.55) / 0.45, 0, 1)[..., None]
  sclera *= 1 - red * np.array([0.05, 0.32, 0.34])
  share = _step(off - _IRIS, 0.035)[..., None]
  return _encode(
    Image.fromarray(_to_srgb(color * (1 - share) + sclera * share)), "JPEG"
  )


def _fibers(angle, off, rng):
  """The iris' radial fibers, about -1 to 1."""
  total = np.zeros_like(angle)
  for frequency in (17, 29, 43, 61, 83):
    phase = rng.uniform(0, 2 * np.pi)
    bend = rng.uniform(-6, 6)
    total += np.sin(frequency * angle + bend * off + phase)
  return total / 2.5


def _step(value, width):
  """A smooth step from 0 to 1 at 0, `width` wide."""
  t = np.clip(value / width + 0.5, 0, 1)
  return t * t * (3 - 2 * t)


def _to_srgb(
  linear: Float[np.ndarray, "h w 3"],
) -> UInt8[np.ndarray, "h w 3"]:
  """Linear light as bytes of sRGB, as glTF stores colors in textures."""
  light = np.clip(linear, 0, 1)
  curve = np.where(
    light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
  )
  return np.round(255 * curve).astype(np.uint8)


def _encode(image, kind):
  file = io.BytesIO()
  image.save(file, kind, quality=92, optimize=True)
  return file.getvalue()

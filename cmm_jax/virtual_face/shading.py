"""The light of one frame: each pixel's material, lamps, camera.

Compiled, without a lock and without fast-math, as in rasterise.py.
"""

import numba
import numpy as np

from cmm_jax.virtual_face.head import (
  FRAME,
  GUMS,
  HAIR,
  LEFT_EYE,
  LONG_HAIR,
  RIGHT_EYE,
  SKIN,
  TEETH,
  TONGUE,
)
from cmm_jax.virtual_face.rasterise import strand_at

_NUM_CHANNELS = 5  # of the skin's texture: red, green, blue, crow, fold
# How far light creeps round into the shade, for red, green and blue: skin
# scatters red the furthest. Hair and teeth take the green one.
_WRAP = np.array([0.42, 0.28, 0.20], np.float32)


@numba.njit(nogil=True, cache=True)
def shade(
  owner, inside, normals, triangles, materials, texture_triangles,
  texture_places, texture, openness, extras, strands, eye_gaze, colours,
  mouth_light, wrinkles, lights, sky, ground, roughness, backdrop,
):  # fmt: skip
  """Light for every pixel: float32 [h, w, 3], linear.

  Args:
    owner, inside: from `z_buffer`.
    texture: linear red, green, blue and the two wrinkle maps [s, s, 5].
    extras: per vertex; eyes: direction from the eye's centre; teeth: place;
      hair: cover, strand coordinates.
    colours: [material, 3], linear; row RIGHT_EYE is the iris, LEFT_EYE the
      white of the eye.
    mouth_light: how much light falls between the lips, 0 to 1.
    wrinkles: how strongly crow's-feet and folds show, right then left.
    lights: [n, 6], direction in the camera's axes and colour.
    sky, ground: the light from all around, above and below.
    roughness: of the skin, 0 is greasy and 1 is dull.
    backdrop: [s, s, 3], linear, stretched over the picture.
  """
  height, width = owner.shape
  image = np.empty((height, width, 3), np.float32)
  side = texture.shape[0]
  base = np.empty(_NUM_CHANNELS, np.float32)
  for y in range(height):
    for x in range(width):
      t = owner[y, x]
      if t < 0:
        _sample(
          backdrop,
          (x + 0.5) * backdrop.shape[1] / width - 0.5,
          (y + 0.5) * backdrop.shape[0] / height - 0.5,
          image[y, x],
        )
        continue
      a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
      u, v = inside[y, x, 0], inside[y, x, 1]
      w = 1 - u - v
      material = materials[t]
      nx = u * normals[a, 0] + v * normals[b, 0] + w * normals[c, 0]
      ny = u * normals[a, 1] + v * normals[b, 1] + w * normals[c, 1]
      nz = u * normals[a, 2] + v * normals[b, 2] + w * normals[c, 2]
      length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
      if nz < 0:
        length = -length  # the inside of a thin sheet
      nx, ny, nz = nx / length, ny / length, nz / length
      open_sky = u * openness[a] + v * openness[b] + w * openness[c]
      gloss, sharpness = np.float32(0.0), np.float32(20.0)
      wrap = np.float32(0.0)
      for channel in range(3):
        base[channel] = colours[material, channel]
      if material == SKIN:
        i = texture_triangles[t, 0]
        j = texture_triangles[t, 1]
        k = texture_triangles[t, 2]
        column = (
          u * texture_places[i, 0]
          + v * texture_places[j, 0]
          + w * texture_places[k, 0]
        ) * side - 0.5
        row = (
          u * texture_places[i, 1]
          + v * texture_places[j, 1]
          + w * texture_places[k, 1]
        ) * side - 0.5
        _sample(texture, column, row, base)
        half = (
          0 if u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0] < 0 else 1
        )
        dim = 1 - wrinkles[half, 0] * base[3] - wrinkles[half, 1] * base[4]
        dim = max(dim, np.float32(0.3))
        base[0] *= np.sqrt(dim)  # creases are redder than they are dark
        base[1] *= dim
        base[2] *= dim
        gloss, wrap = np.float32(0.16) * (1 - roughness), np.float32(1.0)
        sharpness = np.float32(8) + np.float32(24) * (1 - roughness)
      elif material == RIGHT_EYE or material == LEFT_EYE:
        ex = u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0]
        ey = u * extras[a, 1] + v * extras[b, 1] + w * extras[c, 1]
        ez = u * extras[a, 2] + v * extras[b, 2] + w * extras[c, 2]
        length = np.sqrt(ex * ex + ey * ey + ez * ez) + np.float32(1e-9)
        ex, ey, ez = ex / length, ey / length, ez / length
        _eye(ex, ey, ez, eye_gaze, colours, base)
        gloss, sharpness = np.float32(0.6), np.float32(90.0)
        open_sky = np.float32(0.80) - np.float32(0.5) * max(ey, np.float32(0.0))
        open_sky -= np.float32(0.35) * abs(ex)
      elif material == TEETH:
        px = u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0]
        # Darker towards the corners of the mouth, with gaps between teeth.
        away = abs(px) / np.float32(0.30)
        gap = abs(((px / np.float32(0.085)) % 1) - np.float32(0.5))
        base *= mouth_light * (1 - np.float32(0.55) * away * away)
        if gap < 0.07:
          base *= np.float32(0.82)
        open_sky, wrap = np.float32(0.95), np.float32(1.0)
        nx, ny, nz = nx * np.float32(0.3), ny * np.float32(0.3), np.float32(1.0)
        gloss, sharpness = np.float32(0.10) * mouth_light, np.float32(30.0)
      elif material == TONGUE or material == GUMS:
        open_sky *= np.float32(0.35)
      elif material == HAIR or material == LONG_HAIR:
        around = u * extras[a, 1] + v * extras[b, 1] + w * extras[c, 1]
        out = u * extras[a, 2] + v * extras[b, 2] + w * extras[c, 2]
        base *= np.float32(0.45) + np.float32(1.1) * strand_at(
          strands, around, out
        )
        open_sky, wrap = np.float32(0.8), np.float32(0.6)
        gloss, sharpness = np.float32(0.05), np.float32(12.0)
      elif material == FRAME:
        open_sky = np.float32(1.0)
        gloss, sharpness = np.float32(0.3), np.float32(30.0)
      shade_sky = np.float32(0.35) + np.float32(0.65) * open_sky
      up = np.float32(0.5) + np.float32(0.5) * ny
      for channel in range(3):
        around = ground[channel] * (1 - up) + sky[channel] * up
        image[y, x, channel] = base[channel] * around * open_sky
      for lamp in range(len(lights)):
        lx, ly, lz = lights[lamp, 0], lights[lamp, 1], lights[lamp, 2]
        facing = nx * lx + ny * ly + nz * lz
        shine = np.float32(0.0)
        if gloss > 0 and lamp == 0:
          # Blinn: how close the normal is to the half-way vector.
          half_way = nx * lx + ny * ly + nz * (lz + 1)
          half_way /= np.sqrt(lx * lx + ly * ly + (lz + 1) * (lz + 1))
          if half_way > 0.5:
            shine = gloss * half_way**sharpness
        for channel in range(3):
          creep = wrap * _WRAP[channel]
          soft = max((facing + creep) / (1 + creep), np.float32(0.0))
          lamp_light = lights[lamp, 3 + channel] * shade_sky
          image[y, x, channel] += lamp_light * (base[channel] * soft + shine)
  return image


@numba.njit(nogil=True, cache=True)
def _sample(texture, column, row, result):
  """Bilinear, held at the edges."""
  side = texture.shape[0]
  column = min(max(column, 0.0), side - 1.001)
  row = min(max(row, 0.0), side - 1.001)
  i, j = int(row), int(column)
  down, along = row - i, column - j
  for channel in range(texture.shape[2]):
    upper = (
      texture[i, j, channel] * (1 - along) + texture[i, j + 1, channel] * along
    )
    lower = (
      texture[i + 1, j, channel] * (1 - along)
      + texture[i + 1, j + 1, channel] * along
    )
    result[channel] = upper * (1 - down) + lower * down


@numba.njit(nogil=True, cache=True)
def _eye(x, y, z, gaze, colours, result):
  """Pupil, iris and white, by the angle to the gaze."""
  facing = x * gaze[0] + y * gaze[1] + z * gaze[2]
  off = np.sqrt(max(np.float32(0.0), 1 - facing * facing))
  if facing < 0:
    off = np.float32(1.0)
  if off < 0.17:
    result[:3] = np.float32(0.004)
  elif off < 0.44:
    glow = np.float32(0.55) + np.float32(0.9) * (off - np.float32(0.17))
    if off > 0.39:
      glow *= np.float32(0.35)  # the dark ring
    if y > 0:
      glow *= np.float32(0.75)
    result[:3] = colours[RIGHT_EYE] * glow
  else:
    result[:3] = colours[LEFT_EYE]


_CURVE_STEPS = 4096


def _film_curve():
  """Bytes for linear light from 0 to 4: a soft shoulder, then sRGB's gamma."""
  light = np.linspace(0, 4, _CURVE_STEPS)
  bent = 0.7 + 0.3 * (1 - np.exp(-np.maximum(light - 0.7, 0) / 0.3))
  light = np.where(light > 0.7, bent, light)  # towards white, without clipping
  return (255 * light ** (1 / 2.2)).astype(np.float32)


_FILM_CURVE = _film_curve()


@numba.njit(nogil=True, cache=True)
def develop(image, exposure, grain, seed):
  """Linear light to bytes, with the sensor's noise.

  Args:
    image: [h, w, 3].
    exposure: factor on the light.
    grain: deviation of the noise, in levels of 255.
    seed: the same one gives the same noise.
  """
  height, width, _ = image.shape
  picture = np.empty((height, width, 3), np.uint8)
  state = np.uint64(seed) * np.uint64(2654435761) + np.uint64(88172645463325252)
  for y in range(height):
    for x in range(width):
      for channel in range(3):
        light = image[y, x, channel] * exposure * np.float32(_CURVE_STEPS / 4)
        place = min(max(light, np.float32(0.0)), np.float32(_CURVE_STEPS - 2))
        step = int(place)
        value = _FILM_CURVE[step] + (place - step) * (
          _FILM_CURVE[step + 1] - _FILM_CURVE[step]
        )
        # Xorshift; four bytes of it added up are nearly normal.
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        word = state >> np.uint64(24)
        total = np.float32(0.0)
        for _ in range(4):
          total += np.float32(word & np.uint64(255)) - np.float32(127.5)
          word >>= np.uint64(8)
        value += grain * total / np.float32(147.8)
        picture[y, x, channel] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
  return picture

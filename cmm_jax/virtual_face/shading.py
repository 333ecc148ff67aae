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
# Decimetres that the mesh's lips hang before the teeth; in life they touch.
_LIPS_AWAY = np.float32(0.07)
_FLESH = np.array([0.85, 0.36, 0.29], np.float32)  # what the mouth reflects


@numba.njit(nogil=True, cache=True)
def shade(
  owner, inside, normals, triangles, materials, texture_triangles,
  texture_places, texture, openness, extras, strands, teeth, eye_gaze, colours,
  seen, lips, scale, wrinkles, lights, sky, ground, roughness, backdrop,
):  # fmt: skip
  """Light for every pixel: float32 [h, w, 3], linear.

  Args:
    owner, inside: from `z_buffer`.
    texture: linear red, green, blue and the two wrinkle maps [s, s, 5].
    extras: per vertex; eyes: direction from the eye's centre; teeth: column
      and row of their texture, as shares; hair: cover, strand coordinates.
    colours: [material, 3], linear; row RIGHT_EYE is the iris, LEFT_EYE the
      white of the eye.
    teeth: linear red, green, blue, slopes along and up, cover [r, s, 6].
    seen: from `project`, in pixels and decimetres.
    lips: [n, 4], columns at even steps, upper and lower row, distance.
    scale: pixels a decimetre.
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
  crown = np.empty(6, np.float32)
  hole = np.zeros(5, np.float32)
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
      in_mouth = material == TEETH or material == TONGUE or material == GUMS
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
        column = u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0]
        row = u * extras[a, 1] + v * extras[b, 1] + w * extras[c, 1]
        _sample(
          teeth,
          column * teeth.shape[1] - 0.5,
          row * teeth.shape[0] - 0.5,
          crown,
        )
        base[:3] = crown[:3]
        along = crown[3]
        rise = crown[4] if row < 0.5 else -crown[4]  # the lower arch hangs
        sx, sz = nx, nz
        nx, ny, nz = nx + along * sz, ny + rise, nz - along * sx
        length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
        nx, ny, nz = nx / length, ny / length, nz / length
        wrap = np.float32(1.0)
        gloss, sharpness = np.float32(0.22), np.float32(45.0)
      elif material == TONGUE or material == GUMS:
        gloss, sharpness = np.float32(0.10), np.float32(25.0)
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
      if in_mouth:
        depth = u * seen[a, 2] + v * seen[b, 2] + w * seen[c, 2]
        _measure_opening(x, y, depth, lips, scale, hole)
        open_sky = _free_sky(hole)
        bounce = _bounce(hole, open_sky)
        if material == TONGUE:
          open_sky *= np.float32(0.6)  # teeth stand before it
      shade_sky = np.float32(0.35) + np.float32(0.65) * open_sky
      up = np.float32(0.5) + np.float32(0.5) * ny
      for channel in range(3):
        around = ground[channel] * (1 - up) + sky[channel] * up
        image[y, x, channel] = base[channel] * around * open_sky
        if in_mouth:
          light = sky[channel] + lights[0, 3 + channel]
          image[y, x, channel] += (
            base[channel] * light * bounce * _FLESH[channel]
          )
      for lamp in range(len(lights)):
        lx, ly, lz = lights[lamp, 0], lights[lamp, 1], lights[lamp, 2]
        shade_lamp = shade_sky
        if in_mouth:
          shade_lamp = _free_lamp(hole, lx, ly, lz)
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
          lamp_light = lights[lamp, 3 + channel] * shade_lamp
          image[y, x, channel] += lamp_light * (base[channel] * soft + shine)
  return image


@numba.njit(nogil=True, cache=True)
def _sample(texture, column, row, result):
  """Bilinear, held at the edges."""
  column = min(max(column, 0.0), texture.shape[1] - 1.001)
  row = min(max(row, 0.0), texture.shape[0] - 1.001)
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
def _measure_opening(x, y, near, lips, scale, hole):
  """Where a place in the mouth lies behind the opening between the lips.

  Writes into `hole`, in decimetres: how far the place is below the upper lip,
  above the lower one, from the picture's left corner of the mouth and from the
  right one (negative: hidden), and how far behind the lips.
  """
  last = len(lips) - 1
  step = (lips[last, 0] - lips[0, 0]) / last
  place = min(max((x - lips[0, 0]) / step, np.float32(0.0)), last - 0.001)
  i = int(place)
  along = np.float32(place - i)
  hole[0] = (y - lips[i, 1] * (1 - along) - lips[i + 1, 1] * along) / scale
  hole[1] = (lips[i, 2] * (1 - along) + lips[i + 1, 2] * along - y) / scale
  hole[2] = (x - lips[0, 0]) / scale
  hole[3] = (lips[last, 0] - x) / scale
  behind = lips[i, 3] * (1 - along) + lips[i + 1, 3] * along - near
  hole[4] = max(behind - _LIPS_AWAY, np.float32(0.012))


@numba.njit(nogil=True, cache=True)
def _free_sky(hole):
  """The share of the sky that the place sees between the lips."""
  share = np.float32(1.0)
  for first in (0, 2):
    sides = np.float32(0.0)
    for side in (first, first + 1):
      away = hole[side]
      sides += away / np.sqrt(away * away + hole[4] * hole[4])
    share *= max(np.float32(0.5) * sides, np.float32(0.0))
  return share


@numba.njit(nogil=True, cache=True)
def _bounce(hole, open_sky):
  """The share of the light that reaches the place from lips and walls."""
  gap = max(hole[0] + hole[1], np.float32(0.0))
  entered = (gap + np.float32(0.02)) / (gap + np.float32(0.10))
  deep = np.exp(-hole[4] / np.float32(0.15))
  return np.float32(0.30) * (1 - open_sky) * entered * deep


@numba.njit(nogil=True, cache=True)
def _free_lamp(hole, lx, ly, lz):
  """How much of a lamp's light passes between the lips, 0 to 1."""
  if lz < 0.05:
    return np.float32(0.0)
  up, right = hole[4] * ly / lz, hole[4] * lx / lz
  soft = np.float32(0.02) + np.float32(0.5) * hole[4]
  share = _pass(hole[0] - up, soft) * _pass(hole[1] + up, soft)
  return share * _pass(hole[2] + right, soft) * _pass(hole[3] - right, soft)


@numba.njit(nogil=True, cache=True)
def _pass(distance, soft):
  """From 0 to 1 where an edge's soft shadow ends."""
  t = min(max(distance / soft + np.float32(0.3), 0.0), 1.0)
  return np.float32(t * t * (3 - 2 * t))


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

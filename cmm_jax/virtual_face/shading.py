"""The light of one frame: the material and the lights of each pixel.

Compiled as rasterizer.py is.
"""

import numba
import numpy as np

from cmm_jax.virtual_face import mouth_light
from cmm_jax.virtual_face.head import (
  FRAME,
  GUMS,
  HAIR,
  IRIS,
  LEFT_EYE,
  LONG_HAIR,
  RIGHT_EYE,
  SCLERA,
  SKIN,
  TEETH,
  TONGUE,
)
from cmm_jax.virtual_face.rasterizer import strand_at

_SKIN_CHANNELS = 5  # red, green, blue, crow's-feet, folds
_TEETH_CHANNELS = 6  # red, green, blue, slopes along and up, cover
# How far light wraps around into the shade, for red, green and blue: skin
# scatters red the furthest.
_WRAP = np.array([0.42, 0.28, 0.20], np.float32)


@numba.njit(nogil=True, cache=True)
def shade(
  triangle_ids, barycentric, projected, normals, triangles, materials,
  uv_triangles, uv, skin, sky_visibility, attributes, strands, teeth, gaze,
  colors, lips, scale, wrinkles, lights, sky, ground, roughness, backdrop,
):  # fmt: skip
  """Linear light of every pixel: float32 [h, w, 3].

  Args:
    triangle_ids, barycentric: from `rasterizer.z_buffer`.
    projected: vertices, from `rasterizer.project`.
    normals: of the vertices, from `rasterizer.vertex_normals`.
    triangles, materials, uv_triangles, uv, skin, sky_visibility, attributes,
      strands, colors, roughness: as in `appearance.Person`.
    teeth: a level of `appearance.Person.teeth`.
    gaze: its direction in the head's axes.
    lips: from `mouth_light.lip_curves`.
    scale: pixels per decimeter.
    wrinkles: depth of crow's-feet and folds, on the right, then on the left.
    lights, sky, ground, backdrop: as in `scene.Scene`.
  """
  height, width = triangle_ids.shape
  image = np.empty((height, width, 3), np.float32)
  base = np.empty(_SKIN_CHANNELS, np.float32)
  tooth = np.empty(_TEETH_CHANNELS, np.float32)
  place = np.zeros(5, np.float32)
  for y in range(height):
    for x in range(width):
      t = triangle_ids[y, x]
      if t < 0:
        _sample(backdrop, (x + 0.5) / width, (y + 0.5) / height, image[y, x])
        continue
      a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
      u, v = barycentric[y, x, 0], barycentric[y, x, 1]
      w = 1 - u - v
      material = materials[t]
      nx = u * normals[a, 0] + v * normals[b, 0] + w * normals[c, 0]
      ny = u * normals[a, 1] + v * normals[b, 1] + w * normals[c, 1]
      nz = u * normals[a, 2] + v * normals[b, 2] + w * normals[c, 2]
      length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
      if nz < 0:
        length = -length  # the back of a thin sheet
      nx, ny, nz = nx / length, ny / length, nz / length
      p = u * attributes[a, 0] + v * attributes[b, 0] + w * attributes[c, 0]
      q = u * attributes[a, 1] + v * attributes[b, 1] + w * attributes[c, 1]
      r = u * attributes[a, 2] + v * attributes[b, 2] + w * attributes[c, 2]
      visible_sky = (
        u * sky_visibility[a] + v * sky_visibility[b] + w * sky_visibility[c]
      )
      gloss, sharpness = np.float32(0.0), np.float32(20.0)
      wrap, reflected = np.float32(0.0), np.float32(0.0)
      in_mouth = material == TEETH or material == TONGUE or material == GUMS
      for channel in range(3):
        base[channel] = colors[material, channel]
      if material == SKIN:
        i, j, k = uv_triangles[t, 0], uv_triangles[t, 1], uv_triangles[t, 2]
        column = u * uv[i, 0] + v * uv[j, 0] + w * uv[k, 0]
        row = u * uv[i, 1] + v * uv[j, 1] + w * uv[k, 1]
        _sample(skin, column, row, base)
        side = 0 if p < 0 else 1
        dim = 1 - wrinkles[side, 0] * base[3] - wrinkles[side, 1] * base[4]
        dim = max(dim, np.float32(0.3))
        base[0] *= np.sqrt(dim)  # wrinkles are reddish
        base[1] *= dim
        base[2] *= dim
        gloss, wrap = np.float32(0.16) * (1 - roughness), np.float32(1.0)
        sharpness = np.float32(8) + np.float32(24) * (1 - roughness)
      elif material == RIGHT_EYE or material == LEFT_EYE:
        length = np.sqrt(p * p + q * q + r * r) + np.float32(1e-9)
        ex, ey, ez = p / length, q / length, r / length
        _eye(ex, ey, ez, gaze, colors, base)
        gloss, sharpness = np.float32(0.6), np.float32(90.0)
        visible_sky = np.float32(0.80)
        visible_sky -= np.float32(0.5) * max(ey, np.float32(0.0))
        visible_sky -= np.float32(0.35) * abs(ex)
      elif material == TEETH:
        _sample(teeth, p, q, tooth)
        base[:3] = tooth[:3]
        # The relief tilts the normal along the arch and up.
        along, up = tooth[3], tooth[4] if q < 0.5 else -tooth[4]
        nx, ny, nz = nx + along * nz, ny + up, nz - along * nx
        length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
        nx, ny, nz = nx / length, ny / length, nz / length
        gloss, sharpness = np.float32(0.22), np.float32(45.0)
        wrap = np.float32(1.0)
      elif material == TONGUE or material == GUMS:
        gloss, sharpness = np.float32(0.10), np.float32(25.0)
      elif material == HAIR or material == LONG_HAIR:
        strand = strand_at(strands, q, r)
        base *= np.float32(0.45) + np.float32(1.1) * strand
        visible_sky, wrap = np.float32(0.8), np.float32(0.6)
        gloss, sharpness = np.float32(0.05), np.float32(12.0)
      elif material == FRAME:
        visible_sky = np.float32(1.0)
        gloss, sharpness = np.float32(0.3), np.float32(30.0)
      if in_mouth:
        z = u * projected[a, 2] + v * projected[b, 2] + w * projected[c, 2]
        mouth_light.locate(x, y, z, lips, scale, place)
        visible_sky = mouth_light.sky_visibility(place)
        reflected = mouth_light.reflection(place, visible_sky)
        if material == TONGUE:
          visible_sky *= np.float32(0.6)  # behind the teeth

      up = np.float32(0.5) + np.float32(0.5) * ny
      for channel in range(3):
        ambient = ground[channel] * (1 - up) + sky[channel] * up
        ambient *= visible_sky
        if in_mouth:
          entering = sky[channel] + lights[0, 3 + channel]
          ambient += entering * reflected * mouth_light.FLESH[channel]
        image[y, x, channel] = base[channel] * ambient
      for light in range(len(lights)):
        lx, ly, lz = lights[light, 0], lights[light, 1], lights[light, 2]
        if in_mouth:
          lit = mouth_light.unshadowed(place, lx, ly, lz)
        else:
          lit = np.float32(0.35) + np.float32(0.65) * visible_sky
        facing = nx * lx + ny * ly + nz * lz
        shine = np.float32(0.0)
        if gloss > 0 and light == 0:
          # Blinn-Phong: how close the normal is to the half-way vector.
          half_way = nx * lx + ny * ly + nz * (lz + 1)
          half_way /= np.sqrt(lx * lx + ly * ly + (lz + 1) * (lz + 1))
          if half_way > 0.5:
            shine = gloss * half_way**sharpness
        for channel in range(3):
          wrapped = wrap * _WRAP[channel]
          diffuse = max((facing + wrapped) / (1 + wrapped), np.float32(0.0))
          image[y, x, channel] += (
            lights[light, 3 + channel] * lit * (base[channel] * diffuse + shine)
          )
  return image


@numba.njit(nogil=True, cache=True)
def _sample(texture, column, row, result):
  """Bilinear, clamped to the edges; column and row are fractions."""
  x = column * texture.shape[1] - 0.5
  y = row * texture.shape[0] - 0.5
  x = min(max(x, 0.0), texture.shape[1] - 1.001)
  y = min(max(y, 0.0), texture.shape[0] - 1.001)
  i, j = int(y), int(x)
  down, along = y - i, x - j
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
def _eye(x, y, z, gaze, colors, result):
  """Pupil, iris and sclera, by the angle to the gaze."""
  facing = x * gaze[0] + y * gaze[1] + z * gaze[2]
  off = np.sqrt(max(np.float32(0.0), 1 - facing * facing))
  if facing < 0:
    off = np.float32(1.0)
  if off < 0.17:
    result[:3] = np.float32(0.004)
  elif off < 0.44:
    brightness = np.float32(0.55) + np.float32(0.9) * (off - np.float32(0.17))
    if off > 0.39:
      brightness *= np.float32(0.35)  # the limbal ring
    if y > 0:
      brightness *= np.float32(0.75)
    result[:3] = colors[IRIS] * brightness
  else:
    result[:3] = colors[SCLERA]

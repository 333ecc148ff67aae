"""The skin's texture: tone, lips, brows, beard and wrinkles (ours).

It is painted by position on the head at rest, so that a brow is a curve in
decimeters, not in the rotated and stretched axes of the texture.
"""

import functools

import numpy as np
from jaxtyping import Float
from PIL import Image

from cmm_jax.virtual_face import color_space, hair, head, rasterizer

# Of the face's window, in texels: about six per pixel of a 64x64 frame.
TEXTURE_SIZE = 384


@functools.cache
def _window_uv():
  """The mesh's UV coordinates as fractions of the window, v downwards."""
  left, bottom, right, top = head.FACE_WINDOW
  uv = head.load().uv
  column = (uv[:, 0] - left) / (right - left)
  row = (top - uv[:, 1]) / (top - bottom)
  return np.stack([column, row], axis=1).astype(np.float32)


@functools.cache
def face_uv() -> Float[np.ndarray, "u 2"]:
  """The UV coordinates in the window, column and row as fractions of it.

  Corners outside the window (neck, ears, back of the head) get the color of the
  forehead or of the front of the scalp.
  """
  mesh = head.load()
  uv = _window_uv().copy()
  vertex_of = np.zeros(len(uv), np.int64)  # of each UV coordinate
  vertex_of[mesh.uv_triangles] = mesh.triangles
  rest = mesh.vertices[vertex_of]

  def nearest(position):
    return uv[np.argmin(np.linalg.norm(rest - position, axis=1))]

  ears = _sample(mesh.masks["ears"], uv) > 0.3
  outside = ((uv < 0.01) | (uv > 0.99)).any(axis=1) | ears
  outside |= rest[:, 1] < 6.0
  high = (rest[:, 1] > 7.4) & ~ears
  forehead, scalp = nearest((0.0, 7.75, 1.4)), nearest((0.0, 8.25, 1.0))
  uv[outside & ~high] = forehead
  uv[outside & high] = scalp
  return uv


def _sample(mask, uv):
  """The nearest value of a mask of the window."""
  column, row = np.clip(uv.T * len(mask), 0, len(mask) - 1).astype(int)
  return mask[row, column]


@functools.cache
def _position_map(size):
  """The position of each texel on the head at rest: float32 [3, s, s]."""
  mesh = head.load()
  flat = np.zeros((len(mesh.uv), 3), np.float32)
  flat[:, :2] = _window_uv() * size - 0.5
  skin = mesh.materials == head.SKIN
  triangle_ids, barycentric = rasterizer.z_buffer(
    flat,
    mesh.uv_triangles[skin],
    np.full(skin.sum(), head.GUMS, np.int32),  # a material with two sides
    flat,
    np.zeros((1, 1), np.float32),
    np.zeros((2, 2, 1), np.float32),
    size,
  )
  corners = mesh.vertices[mesh.triangles[skin][triangle_ids]]  # [s, s, 3, 3]
  u, v = barycentric[..., 0, None], barycentric[..., 1, None]
  positions = u * corners[..., 0, :] + v * corners[..., 1, :]
  positions += (1 - u - v) * corners[..., 2, :]
  positions[triangle_ids < 0] = (0, 7.75, 1.4)  # unused texels: the forehead
  return np.ascontiguousarray(np.moveaxis(positions, -1, 0))


@functools.cache
def _mask(name, size):
  """A mask of the mesh, resized to the texture."""
  image = Image.fromarray(head.load().masks[name])
  resized = image.resize((size, size), Image.Resampling.BICUBIC)
  return np.asarray(resized).clip(0, 1)


def _noise(rng, cells, size):
  """Smooth noise of standard deviation about 1, `cells` by `cells`."""
  coarse = rng.normal(size=(cells, cells)).astype(np.float32)
  return np.asarray(
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
  )


def _step(value, width):
  """A smooth step from 0 to 1 at 0, about `width` wide."""
  t = np.clip(value / width + 0.5, 0, 1)
  return t * t * (3 - 2 * t)


def _blob(x, y, center, radius):
  """A Gaussian bump."""
  gap = ((x - center[0]) / radius[0]) ** 2 + ((y - center[1]) / radius[1]) ** 2
  return np.exp(-gap)


def make_texture(
  shape: head.Shape,
  tone: Float[np.ndarray, "3"],
  hair_color: Float[np.ndarray, "3"],
  rng: np.random.Generator,
  size: int = TEXTURE_SIZE,
) -> Float[np.ndarray, "s s 5"]:
  """Paints linear red, green and blue, then crow's-feet and nasolabial folds.

  Args:
    shape: of the head.
    tone, hair_color: sRGB, 0 to 1.
    rng: samples what else differs from skin to skin.
    size: height and width of the texture.
  """
  x, y, z = _position_map(size)
  across = np.abs(x)
  old = shape.old
  color = np.ones((3, size, size), np.float32)
  color *= tone[:, None, None]

  def tint(mask, factors):
    for channel, factor in enumerate(factors):
      color[channel] *= 1 - mask * (1 - np.float32(factor))

  def cover(mask, pigment):
    for channel in range(3):
      color[channel] += mask * (np.float32(pigment[channel]) - color[channel])

  # Skin: blotches, pores, red cheeks and nose, bags under the eyes, freckles.
  blotches = 0.020 * _noise(rng, 10, size) + 0.014 * _noise(rng, 40, size)
  pores = 0.014 * _noise(rng, 190, size)
  color *= 1 + blotches + pores * (1 + old)
  fair = float(np.clip(tone.mean() * 1.6 - 0.35, 0.15, 1))
  cheeks = _blob(across, y, (0.42, 6.98), (0.20, 0.20))
  nose = _blob(across, y, (0.0, 6.95), (0.12, 0.14)) * (z > 1.4)
  flush = rng.uniform(0.3, 1.0) * fair
  tint(flush * (cheeks + 0.8 * nose), (1.0, 0.87, 0.88))
  bags = _blob(across, y, (0.30, 7.13), (0.15, 0.06))
  tint(bags * rng.uniform(0.2, 0.9) * (0.5 + 0.5 * old), (0.86, 0.80, 0.84))
  if rng.uniform() < 0.25 * fair:
    spots = np.clip(_noise(rng, 120, size) - 1.1, 0, 1) * (cheeks + nose).clip(
      0, 1
    )
    tint(0.6 * spots, (0.78, 0.68, 0.60))
  for _ in range(int(rng.poisson(0.8))):  # moles
    center = (rng.uniform(-0.5, 0.5), rng.uniform(6.3, 7.2))
    tint(_blob(x, y, center, (0.016, 0.016)) * (z > 0.8), (0.5, 0.42, 0.4))

  # Eyelids and their rims, some with makeup.
  lids = _mask("eyelids", size)
  makeup = shape.male < 0.4 and rng.uniform() < 0.4
  tint(lids * (0.75 if makeup else 0.35), (0.80, 0.72, 0.76))

  # Lips.
  lips = _step(_mask("lips", size) - 0.45, 0.5)
  if makeup:
    lip_color = np.array([0.66, 0.20, 0.24]) * rng.uniform(0.8, 1.15)
  else:
    lip_color = tone * np.array([0.88, 0.62, 0.64]) * rng.uniform(0.9, 1.08)
  cover(lips * rng.uniform(0.65, 0.9), lip_color)

  # Lines on an old forehead.
  rows = np.sin((y + 0.012 * _noise(rng, 12, size)) * 60) ** 8
  brow_lines = rows * _step(y - 7.66, 0.08) * _step(0.5 - across, 0.2)
  tint(0.5 * max(0.0, old - 0.25) * brow_lines * (z > 0.9), (0.8, 0.72, 0.7))

  _paint_hair(x, y, z, shape, hair_color, lips, cover, rng)
  crow, fold = _wrinkle_maps(size)
  linear = color_space.srgb_to_linear(color)
  texture = np.stack([*linear, crow, fold], axis=-1)
  return np.ascontiguousarray(texture.astype(np.float32))


def _paint_hair(x, y, z, shape, hair_color, lips, cover, rng):
  """Brows, beard or stubble, and the scalp under the hair."""
  across = np.abs(x)
  grain = _noise(rng, 150, len(x))
  male = shape.male > rng.uniform(0.35, 0.65)
  # The brow's center line is a parabola.
  arch = rng.uniform(0.45, 1.1)
  lift = rng.normal(0, 0.008)
  along = (across - 0.13) / 0.46  # 0 at the inner end, 1 at the outer
  ridge = 7.452 + lift + 0.24 * arch * along * (1 - along) - 0.035 * along
  thick = (0.030 if male else 0.021) * rng.uniform(0.75, 1.35)
  half = thick * (1 - 0.65 * np.clip(along, 0, 1) ** 2)
  brow = _step(1.15 - np.abs(y - ridge) / half + 0.18 * grain, 0.9)
  brow = brow * _step(along + 0.02, 0.10) * _step(1.0 - along, 0.12) * (z > 0.9)
  cover(brow * rng.uniform(0.55, 0.88), hair_color * 0.85)

  if male:
    # The beard ends on a line from the ear to the corner of the mouth.
    edge = np.where(across > 0.28, 6.62 + 0.75 * (across - 0.28), 6.62)
    lower = _step(edge - y, 0.12)
    upper = _blob(across, y, (0.10, 6.76), (0.18, 0.055)) * (y > 6.66)
    region = np.maximum(lower, 1.3 * upper).clip(0, 1) * (1 - lips) * (z > 0.3)
    region = region * _step(y - 5.95, 0.3)
    if rng.uniform() < 0.25:
      density = 0.75 + 0.2 * grain.clip(-1, 1)
    else:
      density = rng.uniform(0.03, 0.30) + 0.05 * grain
    cover(np.clip(region * density, 0, 0.92), hair_color * 0.9)
  scalp = hair.coverage(x, y, z, 0.0)
  shade = 0.75 * scalp * (1 + 0.2 * grain)
  cover(np.clip(shade, 0, 0.9) * (z < 1.45), hair_color)


@functools.cache
def _wrinkle_maps(size):
  """Where crow's-feet and nasolabial folds appear, 0 to 1."""
  x, y, z = _position_map(size)
  across = np.abs(x)
  # Crow's-feet: three rays from the outer eye corner.
  out, up = across - 0.45, y - 7.27
  angle = np.arctan2(up, out)
  reach = np.hypot(out, up)
  rays = np.cos(angle * 7.5 + 0.3) ** 2
  near = _step(reach - 0.045, 0.03) * _step(0.19 - reach, 0.10)
  crow = rays * near * (np.abs(angle) < 0.75) * (z > 0.6)
  # The crease under the lower lid, above a raised cheek.
  pouch = 7.165 - 0.9 * (across - 0.30) ** 2
  crow = np.maximum(
    crow,
    0.8
    * np.exp(-(((y - pouch) / 0.018) ** 2))
    * _step(0.17 - np.abs(across - 0.31), 0.08),
  )
  # The nasolabial fold, from the nose to the corner of the mouth.
  down = np.clip((6.93 - y) / 0.33, 0, 1)
  line = 0.175 + 0.17 * down**1.3
  fold = np.exp(-(((across - line) / 0.022) ** 2))
  fold = fold * _step(6.96 - y, 0.06) * _step(y - 6.56, 0.08) * (z > 0.9)
  return crow.astype(np.float32), fold.astype(np.float32)

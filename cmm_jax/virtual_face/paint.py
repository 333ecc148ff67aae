"""The skin's texture: tone, lips, brows, beard, creases; all of it ours.

Paint is laid by the place on the head at rest, so that a brow is drawn as a
curve in decimetres and not in the texture's turned and stretched axes.
"""

import functools

import numpy as np
from jaxtyping import Float
from PIL import Image

from cmm_jax.virtual_face import hair_and_glasses, head, rasterise
from cmm_jax.virtual_face.make_head import FACE_WINDOW

TEXTURE_SIZE = 384  # of the face's window; about six texels a pixel of 64


def to_light(colour: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
  """Colours as seen (sRGB, 0 to 1) as linear light."""
  return (np.clip(colour, 0, 1) ** 2.2).astype(np.float32)


@functools.cache
def _window_places():
  """The mesh's texture places as shares of the window, row downwards."""
  left, bottom, right, top = FACE_WINDOW
  places = head.load().texture_vertices
  column = (places[:, 0] - left) / (right - left)
  row = (top - places[:, 1]) / (top - bottom)
  return np.stack([column, row], axis=1).astype(np.float32)


@functools.cache
def texture_places() -> Float[np.ndarray, "u 2"]:
  """Where each corner of a triangle takes its colour, in the window.

  What the window leaves out (neck, ears, back of the head) is given the colour
  of the forehead, or of the scalp's front.
  """
  mesh = head.load()
  places = _window_places().copy()
  owner = np.zeros(len(places), np.int64)  # a vertex of the mesh for each
  owner[mesh.texture_triangles] = mesh.triangles
  rest = mesh.vertices[owner]

  def nearest(place):
    return places[np.argmin(np.linalg.norm(rest - place, axis=1))]

  ears = _at(mesh.masks["ears"], places) > 0.3
  outside = ((places < 0.01) | (places > 0.99)).any(axis=1) | ears
  outside |= rest[:, 1] < 6.0
  high = (rest[:, 1] > 7.4) & ~ears
  forehead, scalp = nearest((0.0, 7.75, 1.4)), nearest((0.0, 8.25, 1.0))
  places[outside & ~high] = forehead
  places[outside & high] = scalp
  return places


def _at(mask, places):
  """The mask's value at texture places given as shares of the window."""
  column, row = np.clip(places.T * len(mask), 0, len(mask) - 1).astype(int)
  return mask[row, column]


@functools.cache
def _place_map():
  """Where on the head at rest each texel lies: float32 [3, s, s]."""
  mesh = head.load()
  flat = np.zeros((len(mesh.texture_vertices), 3), np.float32)
  flat[:, :2] = _window_places() * TEXTURE_SIZE - 0.5
  skin = mesh.materials == head.SKIN
  owner, inside = rasterise.z_buffer(
    flat,
    mesh.texture_triangles[skin],
    np.full(skin.sum(), head.GUMS, np.int32),  # drawn whichever way they face
    flat,
    np.zeros((1, 1), np.float32),
    np.zeros((2, 2, 1), np.float32),
    TEXTURE_SIZE,
  )
  corners = mesh.vertices[mesh.triangles[skin][owner]]  # [s, s, 3, 3]
  u, v = inside[..., 0, None], inside[..., 1, None]
  places = u * corners[..., 0, :] + v * corners[..., 1, :]
  places += (1 - u - v) * corners[..., 2, :]
  places[owner < 0] = (0, 7.75, 1.4)  # of no one: the forehead
  return np.ascontiguousarray(np.moveaxis(places, -1, 0))


@functools.cache
def _mask(name):
  """A mask of the mesh's, at the texture's size."""
  image = Image.fromarray(head.load().masks[name])
  size = (TEXTURE_SIZE, TEXTURE_SIZE)
  return np.asarray(image.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


def _noise(rng, cells):
  """Smooth noise of deviation about 1 with that many cells a side."""
  coarse = rng.normal(size=(cells, cells)).astype(np.float32)
  size = (TEXTURE_SIZE, TEXTURE_SIZE)
  return np.asarray(
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
  )


def _step(value, width):
  """Rises from 0 to 1 where the value passes 0, over about that width."""
  t = np.clip(value / width + 0.5, 0, 1)
  return t * t * (3 - 2 * t)


def _blob(x, y, middle, radius):
  gap = ((x - middle[0]) / radius[0]) ** 2 + ((y - middle[1]) / radius[1]) ** 2
  return np.exp(-gap)


def paint(
  shape: head.Shape,
  tone: Float[np.ndarray, "3"],
  hair: Float[np.ndarray, "3"],
  rng: np.random.Generator,
) -> Float[np.ndarray, "s s 5"]:
  """The texture: linear red, green, blue, then crow's-feet and folds.

  Args:
    shape: whose skin it is.
    tone, hair: colours as seen, 0 to 1.
    rng: draws all that differs from skin to skin.
  """
  x, y, z = _place_map()
  across = np.abs(x)
  old = shape.old
  colour = np.ones((3, TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
  colour *= tone[:, None, None]

  def tint(mask, factors):
    for channel, factor in enumerate(factors):
      colour[channel] *= 1 - mask * (1 - np.float32(factor))

  def cover(mask, pigment):
    for channel in range(3):
      colour[channel] += mask * (np.float32(pigment[channel]) - colour[channel])

  # Skin: blotches, pores, red cheeks and nose, shade under the eyes, freckles.
  blotches = 0.020 * _noise(rng, 10) + 0.014 * _noise(rng, 40)
  pores = 0.014 * _noise(rng, 190)
  colour *= 1 + blotches + pores * (1 + old)
  fair = float(np.clip(tone.mean() * 1.6 - 0.35, 0.15, 1))
  cheeks = _blob(across, y, (0.42, 6.98), (0.20, 0.20))
  nose = _blob(across, y, (0.0, 6.95), (0.12, 0.14)) * (z > 1.4)
  flush = rng.uniform(0.3, 1.0) * fair
  tint(flush * (cheeks + 0.8 * nose), (1.0, 0.87, 0.88))
  bags = _blob(across, y, (0.30, 7.13), (0.15, 0.06))
  tint(bags * rng.uniform(0.2, 0.9) * (0.5 + 0.5 * old), (0.86, 0.80, 0.84))
  if rng.uniform() < 0.25 * fair:
    spots = np.clip(_noise(rng, 120) - 1.1, 0, 1) * (cheeks + nose).clip(0, 1)
    tint(0.6 * spots, (0.78, 0.68, 0.60))
  for _ in range(int(rng.poisson(0.8))):  # moles
    place = (rng.uniform(-0.5, 0.5), rng.uniform(6.3, 7.2))
    tint(_blob(x, y, place, (0.016, 0.016)) * (z > 0.8), (0.5, 0.42, 0.4))

  # Eyelids and their rims; make-up on some.
  lids = _mask("eyelids")
  painted = shape.male < 0.4 and rng.uniform() < 0.4
  tint(lids * (0.75 if painted else 0.35), (0.80, 0.72, 0.76))

  # Lips.
  lips = _step(_mask("lips") - 0.45, 0.5)
  if painted:
    lip_colour = np.array([0.66, 0.20, 0.24]) * rng.uniform(0.8, 1.15)
  else:
    lip_colour = tone * np.array([0.88, 0.62, 0.64]) * rng.uniform(0.9, 1.08)
  cover(lips * rng.uniform(0.65, 0.9), lip_colour)

  # Old foreheads have lines, old cheeks folds that stay.
  rows = np.sin((y + 0.012 * _noise(rng, 12)) * 60) ** 8
  brow_lines = rows * _step(y - 7.66, 0.08) * _step(0.5 - across, 0.2)
  tint(0.5 * max(0.0, old - 0.25) * brow_lines * (z > 0.9), (0.8, 0.72, 0.7))

  _paint_hairs(x, y, z, across, shape, hair, lips, cover, rng)
  crow, fold = _creases()
  light = to_light(colour)
  texture = np.stack([*light, crow, fold], axis=-1)
  return np.ascontiguousarray(texture.astype(np.float32))


def _paint_hairs(x, y, z, across, shape, hair, lips, cover, rng):
  """Brows, beard or its shadow, and the shaved scalp."""
  grain = _noise(rng, 150)
  male = shape.male > rng.uniform(0.35, 0.65)
  # The brow's middle line, a parabola in the distance from the nose.
  arch = rng.uniform(0.45, 1.1)
  lift = rng.normal(0, 0.008)
  along = (across - 0.13) / 0.46  # 0 at the inner end, 1 at the outer
  ridge = 7.452 + lift + 0.24 * arch * along * (1 - along) - 0.035 * along
  thick = (0.030 if male else 0.021) * rng.uniform(0.75, 1.35)
  half = thick * (1 - 0.65 * np.clip(along, 0, 1) ** 2)
  brow = _step(1.15 - np.abs(y - ridge) / half + 0.18 * grain, 0.9)
  brow = brow * _step(along + 0.02, 0.10) * _step(1.0 - along, 0.12) * (z > 0.9)
  cover(brow * rng.uniform(0.55, 0.88), hair * 0.85)

  if male:
    # The beard's upper edge runs from the ear down to the corner of the mouth.
    edge = np.where(across > 0.28, 6.62 + 0.75 * (across - 0.28), 6.62)
    lower = _step(edge - y, 0.12)
    upper = _blob(across, y, (0.10, 6.76), (0.18, 0.055)) * (y > 6.66)
    region = np.maximum(lower, 1.3 * upper).clip(0, 1) * (1 - lips) * (z > 0.3)
    region = region * _step(y - 5.95, 0.3)
    if rng.uniform() < 0.25:
      density = 0.75 + 0.2 * grain.clip(-1, 1)
    else:
      density = rng.uniform(0.03, 0.30) + 0.05 * grain
    cover(np.clip(region * density, 0, 0.92), hair * 0.9)
  scalp = hair_and_glasses.hair_cover(x, y, z, 0.0)
  shade = 0.75 * scalp * (1 + 0.2 * grain)
  cover(np.clip(shade, 0, 0.9) * (z < 1.45), hair)


@functools.cache
def _creases():
  """Where crow's-feet and folds come to lie, 0 to 1."""
  x, y, z = _place_map()
  across = np.abs(x)
  # Crow's-feet: three rays from the outer corner of the eye.
  out, up = across - 0.45, y - 7.27
  angle = np.arctan2(up, out)
  reach = np.hypot(out, up)
  rays = np.cos(angle * 7.5 + 0.3) ** 2
  near = _step(reach - 0.045, 0.03) * _step(0.19 - reach, 0.10)
  crow = rays * near * (np.abs(angle) < 0.75) * (z > 0.6)
  # And the line under the lower lid that a raised cheek pushes up.
  pouch = 7.165 - 0.9 * (across - 0.30) ** 2
  crow = np.maximum(
    crow,
    0.8
    * np.exp(-(((y - pouch) / 0.018) ** 2))
    * _step(0.17 - np.abs(across - 0.31), 0.08),
  )
  # The fold from the wing of the nose to the corner of the mouth.
  down = np.clip((6.93 - y) / 0.33, 0, 1)
  line = 0.175 + 0.17 * down**1.3
  fold = np.exp(-(((across - line) / 0.022) ** 2))
  fold = fold * _step(6.96 - y, 0.06) * _step(y - 6.56, 0.08) * (z > 0.9)
  return crow.astype(np.float32), fold.astype(np.float32)

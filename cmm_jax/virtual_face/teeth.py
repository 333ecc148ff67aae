"""The teeth of a person: a texture of two dental arches (ours).

The mesh has two smooth strips for teeth. A texture laid along them turns them
into single teeth and gums: color, relief, and the outline that the rasterizer
cuts out. Sizes are those of average adults, in decimeters, and vary by person.
"""

import dataclasses
import functools
import itertools

import numpy as np
from jaxtyping import Bool, Float, Int

from cmm_jax.virtual_face import head
from cmm_jax.virtual_face.parts import Parts

# Vertices of the incisal edges, from the midline to the person's left.
_UPPER_EDGE = (5014, 5031, 5016, 5015, 5030, 5023, 5022, 5021, 5025)
_LOWER_EDGE = (4955, 4946, 4947, 4948, 4949, 4950, 4951, 4952, 4953)

# Crowns from the midline to the second molar: width, height, distance of the
# edge from the line of the arch, and shape of the edge (0 flat, 1 pointed).
_UPPER = np.array(
  [
    (0.086, 0.106, 0.000, 0.0),
    (0.066, 0.090, 0.006, 0.1),
    (0.077, 0.104, 0.000, 0.75),
    (0.070, 0.088, 0.004, 0.55),
    (0.067, 0.082, 0.005, 0.5),
    (0.102, 0.074, 0.008, 0.4),
    (0.098, 0.070, 0.008, 0.4),
  ]
)
_LOWER = np.array(
  [
    (0.054, 0.088, 0.000, 0.0),
    (0.060, 0.090, 0.001, 0.0),
    (0.069, 0.104, 0.000, 0.9),
    (0.071, 0.086, 0.004, 0.8),
    (0.072, 0.080, 0.006, 0.6),
    (0.112, 0.074, 0.008, 0.4),
    (0.105, 0.070, 0.008, 0.4),
  ]
)

# Enamel from light to dark, between VITA's B1 and C3, and gums (sRGB).
_SHADES = np.array(
  [(0.91, 0.88, 0.81), (0.87, 0.825, 0.735), (0.77, 0.715, 0.61)]
)
_PINK = np.array([0.74, 0.44, 0.43])
# Linear factors on the enamel: yellower towards the root and in canines, grayer
# at the translucent edge.
_NECK = (0.83, 0.72, 0.53)
_EDGE = (0.85, 0.885, 0.94)
_CANINE = np.array([0.935, 0.885, 0.79])
_MOLAR = np.array([0.935, 0.905, 0.855])
_GAP = (0.018, 0.0034, 0.002)  # linear

_HALF_LENGTH = 0.62  # of the arch from the midline, in the texture
_LOW, _HIGH = -0.02, 0.20  # heights in the texture, from the incisal edge
_ROWS, _COLUMNS = 96, 512  # of one arch
_TEXEL = 2 * _HALF_LENGTH / _COLUMNS
_LEVELS = 5


@dataclasses.dataclass(frozen=True)
class _Strips:
  """The outer faces of the two strips in the mesh.

  Attributes:
    vertices: of both strips.
    is_lower: of each vertex, whether it belongs to the lower jaw.
    uv: of each vertex, column and row as fractions of the texture.
    inner: the vertices that face the tongue.
  """

  vertices: Int[np.ndarray, " n"]
  is_lower: Bool[np.ndarray, " n"]
  uv: Float[np.ndarray, "n 2"]
  inner: Int[np.ndarray, " k"]


@functools.cache
def _strips() -> _Strips:
  """Unrolls the strips: arc length from the midline, height from the edge."""
  mesh = head.load()
  vertices = mesh.vertices_of(head.TEETH)
  is_lower = np.isin(vertices, mesh.targets["blendshape/jawOpen"][0])
  uv = np.zeros((len(vertices), 2))
  is_inner = np.zeros(len(vertices), bool)
  for jaw, half in enumerate((_UPPER_EDGE, _LOWER_EDGE)):
    rows = np.flatnonzero(is_lower == jaw)
    x, y, z = mesh.vertices[vertices[rows]].T
    height = -y if jaw else y
    twins = mesh.mirror[list(half[:0:-1])]
    edge = np.searchsorted(vertices[rows], [*twins, *half])
    angle = np.arctan2(x, z - 0.9)
    radius = np.hypot(x, z - 0.9)
    outer = np.interp(angle, angle[edge], radius[edge])
    is_inner[rows] = radius < outer - 0.03
    steps = np.hypot(np.diff(x[edge]), np.diff(z[edge]))
    length = np.concatenate([[0], np.cumsum(steps)])
    along = np.interp(angle, angle[edge], length - length[-1] / 2)
    above = height - np.interp(angle, angle[edge], height[edge])
    uv[rows, 0] = 0.5 + along / (2 * _HALF_LENGTH)
    uv[rows, 1] = ((above - _LOW) / (_HIGH - _LOW) + jaw) / 2
  return _Strips(vertices, is_lower, uv.astype(np.float32), vertices[is_inner])


def fit(parts: Parts, rng: np.random.Generator) -> Parts:
  """Lays the texture along the strips and samples the bite."""
  strips = _strips()
  vertices, attributes = parts.vertices.copy(), parts.attributes.copy()
  attributes[strips.vertices, :2] = strips.uv
  # How far the teeth show below the upper lip.
  show = np.clip(rng.normal(0.020, 0.012), -0.005, 0.05)
  vertices[strips.vertices, 1] -= show
  # The lower arch is narrower and bites behind the upper one.
  lower = strips.vertices[strips.is_lower]
  overbite = np.clip(rng.normal(0.04, 0.012), 0.01, 0.06)
  vertices[lower] *= (0.96, 1.0, 1.0)
  vertices[lower] += (0.0, overbite, -0.03)
  parts = dataclasses.replace(parts, vertices=vertices, attributes=attributes)
  inner = np.isin(parts.triangles, strips.inner).any(axis=1)
  return parts.without(inner & (parts.materials == head.TEETH))


@dataclasses.dataclass(frozen=True)
class _Style:
  """Deviations of one person's teeth from the average. Factors have no unit."""

  enamel: Float[np.ndarray, "3"]  # linear
  gum: Float[np.ndarray, "3"]
  width: float  # factor on widths
  length: float  # factor on heights
  gap: float  # between neighbors
  diastema: float  # added between the central incisors
  crooked: float  # 0 straight to 1 clearly irregular
  worn: float  # flatness of the edges, 0 to 1
  lateral: float  # shortening of the lateral incisors


def make_texture(
  lightness: float, tone: float, old: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 6"]:
  """Paints the upper arch, then the lower.

  Args:
    lightness: of the enamel, 0 (VITA's C3) to 1 (B1).
    tone: lightness of the skin, 0 to 1; gums are darker in dark skin.
    old: 0 to 1; old teeth are darker, worn and longer at the neck.
    rng: samples what else differs from person to person.

  Returns:
    Linear red, green and blue; slopes of the relief along the arch and up; 1
    where there is tooth or gum. Rows run from the incisal edge to the gums.
  """
  level = 2 * float(np.clip((1 - lightness) ** 1.4 + 0.3 * old, 0, 1))
  shade = np.array([np.interp(level, range(3), row) for row in _SHADES.T])
  pink = _PINK * (0.55 + 0.45 * float(np.clip(1.5 * tone, 0, 1)))
  style = _Style(
    enamel=(shade * (1 + rng.normal(0, [0.008, 0.006, 0.015]))) ** 2.2,
    gum=pink**2.2,
    width=rng.uniform(0.94, 1.06),
    length=rng.uniform(0.90, 1.08) + 0.06 * old,
    gap=rng.uniform(0.001, 0.004),
    diastema=rng.uniform(0.006, 0.015) if rng.uniform() < 0.06 else 0.0,
    crooked=min(rng.gamma(1.5, 0.25), 1.0),
    worn=float(np.clip(rng.uniform(0, 0.5) + 0.5 * old, 0, 1)),
    lateral=rng.normal(0, 0.003),
  )
  arches = [_paint_arch(crowns, style, rng) for crowns in (_UPPER, _LOWER)]
  both = np.concatenate(arches, axis=1)
  return np.ascontiguousarray(np.moveaxis(both, 0, -1))


def _paint_arch(crowns, style, rng):
  """One arch, [channel, row, column]."""
  height = np.linspace(_LOW, _HIGH, _ROWS, dtype=np.float32)[:, None]
  along = np.linspace(-_HALF_LENGTH, _HALF_LENGTH, _COLUMNS, dtype=np.float32)[
    None
  ]
  layers = np.zeros((6, _ROWS, _COLUMNS), np.float32)

  # Between the crowns: darkness, then gum from the papillae on.
  ends = style.width * np.cumsum(crowns[:, 0])
  tall = np.interp(np.abs(along), ends, style.length * crowns[:, 1])
  tall = tall.astype(np.float32)
  layers[5] = _step(height - 0.15 * tall, 0.004)
  gum = _step(height - 0.48 * tall, 0.008)
  deep = 1 - 0.25 * np.clip((height - 0.11) / 0.08, 0, 1)
  blotches = 1 + 0.05 * np.sin(31 * along + rng.uniform(0, 6))
  for channel in range(3):
    pink = np.float32(style.gum[channel]) * deep * blotches
    layers[channel] = _GAP[channel] + gum * (pink - _GAP[channel])

  teeth = []
  for side in (-1, 1):
    start = (style.gap + style.diastema) / 2
    for kind, (width, tall, back, cusp) in enumerate(crowns):
      width *= style.width * (1 + 0.02 * rng.normal())
      middle = side * (start + width / 2)
      start += width + style.gap
      order = kind + rng.uniform(0, 1)  # neighbors overlap in random order
      size = (width, tall * style.length, back, cusp)
      odd = style.crooked * rng.normal(size=5)
      teeth.append((order, kind, side, middle, size, odd, rng.normal()))
  for _, *tooth in sorted(teeth, key=lambda tooth: -tooth[0]):
    _paint_tooth(layers, gum, height, along, style, *tooth)
  return layers


def _paint_tooth(
  layers, gum, height, along, style, kind, side, middle, size, odd, tint
):
  """Paints one crown over an arch."""
  width, tall, back, cusp = size
  span = np.searchsorted(
    along[0], [middle - 0.65 * width, middle + 0.65 * width]
  )
  rows = slice(0, np.searchsorted(height[:, 0], 1.3 * tall))
  window = (slice(None), rows, slice(*span))
  height, along = height[rows], along[:, slice(*span)]
  tall *= 1 + 0.02 * odd[0]
  back += 0.0025 * odd[1] + (style.lateral if kind == 1 else 0)
  lean = 0.05 * odd[2] - side * 0.04 * min(kind, 2)  # crowns lean outwards
  lean = np.float32(lean)
  up = (height - np.float32(back)) / np.float32(tall)  # 0 edge, 1 gum
  off = along - np.float32(middle) - lean * (height - np.float32(0.4 * tall))
  across = off / np.float32(width / 2)  # -1 to 1
  beside = np.abs(across)
  square = across * across

  # Outline: widest at the contacts, a narrow neck, rounded corners.
  neck = np.clip((up - 0.30) / 0.70, 0, 1.2) ** np.float32(1.7)
  belly = 1 - np.float32(0.31 if kind < 2 else 0.26) * neck
  corner = np.float32(0.16 - 0.06 * style.worn) * square * square * beside
  sharp = np.float32(0.20 * cusp * (1 - 0.6 * style.worn))
  edge = corner + sharp * beside * np.sqrt(np.sqrt(beside))
  edge += (
    0.06 * np.clip(side * across, 0, None) * square
  )  # more on the outer side
  margin = 1 - 0.16 * square - np.float32(0.03 * side) * across
  below = (margin - up) * np.float32(tall)
  inside = _step((belly - beside) * np.float32(width / 2), 1.5 * _TEXEL)
  inside *= _step((up - edge) * np.float32(tall), 1.5 * _TEXEL)
  inside *= _step(below, 2 * _TEXEL)

  # Relief: convex, with two ridges on the front teeth.
  slopes = 0.55 * square * across + 0.16 * across + np.float32(0.16 * odd[3])
  if kind < 3:
    slopes += 0.05 * np.sin(9 * across)
  bulge = np.clip(up - 0.55, -1, 1)
  rise = 0.55 * bulge * bulge * bulge + 0.22 * (up - 0.45)
  rise += np.float32(0.08 * odd[4])

  # Color, shaded at the contacts and under the gum.
  color = style.enamel * (1 + 0.026 * tint)
  if kind >= 2:
    color = color * (_CANINE if kind == 2 else _MOLAR)
  root = _step(up - 0.78, 0.6)
  tip = _step(0.16 + edge - up, 0.22) * np.float32(1 - 0.5 * style.worn)
  relative = np.minimum(square / (belly * belly), 1)
  shade = (
    1 - 0.06 * relative - 0.55 * relative * relative * (relative * relative)
  )
  under = below / 0.006
  shade *= 1 - 0.22 * np.exp(-under * under)

  # The gum bulges around the neck.
  swell = (-below - 0.008) / 0.008
  rim = np.exp(-swell * swell) * (1 - inside) * gum[window[1:]] * (beside < 1)
  layer = layers[window]
  layer[:3] *= 1 + 0.10 * rim
  layer[4] += 0.5 * rim * np.sign(swell)
  for channel in range(3):
    enamel = np.float32(color[channel]) * shade
    enamel *= 1 - np.float32(1 - _NECK[channel]) * root
    enamel *= 1 - np.float32(1 - _EDGE[channel]) * tip
    layer[channel] += inside * (enamel - layer[channel])
  layer[3] += inside * (slopes - layer[3])
  layer[4] += inside * (rise - layer[4])
  layer[5] += inside * (1 - layer[5])


def _step(value, width):
  """A linear step from 0 to 1 at 0, `width` wide."""
  return np.clip(value * np.float32(1 / width) + np.float32(0.5), 0, 1)


def pyramid(
  texture: Float[np.ndarray, "h w 6"],
) -> tuple[Float[np.ndarray, "_ _ 6"], ...]:
  """The texture and smaller copies, each half as large as the one before.

  Color and relief are averaged with the cover as weights, so that the empty
  background does not bleed into outlines.
  """
  levels = [texture]
  for _ in range(_LEVELS - 1):
    last = levels[-1]
    total, weights = np.float32(0), np.float32(0)
    for row, column in itertools.product(range(2), range(2)):
      part = last[row::2, column::2]
      weight = part[..., 5:] + np.float32(1e-3)
      total, weights = total + weight * part, weights + weight
    mean = total / weights
    mean[..., 5:] = weights / 4
    levels.append(mean)
  return tuple(levels)


def level_for(scale: float) -> int:
  """The level of the pyramid whose texels are about as large as pixels.

  Args:
    scale: pixels per decimeter.
  """
  return int(np.clip(np.round(np.log2(1 / (_TEXEL * scale))), 0, _LEVELS - 1))

"""Hair: a shell over the scalp or a hull that hangs down (ours)."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int

from cmm_jax.virtual_face import head
from cmm_jax.virtual_face.parts import Parts

# The hairline on the head at rest: the lowest y by z, from the neck (small z)
# over the sideburns to the forehead.
_HAIRLINE_Z = (-0.5, 0.0, 0.30, 0.50, 0.62, 0.80, 0.95, 1.10, 1.30)
_HAIRLINE_Y = (6.35, 6.45, 6.75, 7.05, 7.20, 7.55, 7.78, 7.88, 7.92)

_THICKNESS = {"short": 0.07, "full": 0.16, "fringe": 0.13, "back": 0.05,
              "curly": 0.28, "long": 0.14}  # fmt: skip

_CROWN = np.array([0.0, 8.35, 0.25])  # where the strands start


def coverage(
  x: Float[np.ndarray, "*any"],
  y: Float[np.ndarray, "*any"],
  z: Float[np.ndarray, "*any"],
  drop: float | Float[np.ndarray, "*any"],
  softness: float = 0.10,
) -> Float[np.ndarray, "*any"]:
  """How much of each position on the head at rest hair covers, 0 to 1.

  Args:
    x, y, z: positions in decimeters.
    drop: how much further down the hair comes over the forehead.
    softness: width of the transition.
  """
  hairline = np.interp(z, _HAIRLINE_Z, _HAIRLINE_Y)
  # The temples stay free; a fringe covers only the middle of the forehead.
  hairline = hairline - 0.25 * np.clip(np.abs(x) - 0.45, 0, 1) * (z > 0.8)
  fringe = drop * (z > 0.85)
  hairline = hairline - fringe * np.clip(1.5 - np.abs(x) / 0.4, 0, 1)
  t = np.clip((y - hairline) / softness + 0.5, 0, 1)
  return t * t * (3 - 2 * t)


def add(
  parts: Parts, shape: head.Shape, rng: np.random.Generator
) -> tuple[Parts, Float[np.ndarray, "h w"]]:
  """Adds a haircut.

  Returns:
    The parts, and the pattern of the strands, 0 to 1.
  """
  style = _sample_style(shape, rng)
  strands = _strand_pattern(rng, curly=style == "curly")
  if style == "long":
    parts = _cut_hull(parts, rng)
  else:
    parts = parts.without(parts.materials == head.LONG_HAIR)
  if style != "shaved":
    parts = _add_shell(parts, style, rng)
  return parts, strands


def _add_shell(parts, style, rng):
  """Adds a copy of the scalp, lifted by the thickness of the hair."""
  thickness = _THICKNESS[style] * rng.uniform(0.8, 1.25)
  drops = {"fringe": rng.uniform(0.22, 0.36), "full": rng.uniform(0, 0.1)}
  triangles, vertices, rest = scalp()
  x, y, z = rest.T
  drop = drops.get(style, 0.0) + rng.normal(0, 0.025)
  # With a parting, one side of the fringe comes further down.
  side = np.sign(rng.normal()) * rng.uniform(0, 0.5)
  drop = drop * (1 + side * np.clip(x / 0.4, -1, 1))
  cover = coverage(x, y, z, drop, softness=0.16)
  thickness = thickness * np.clip((y - 6.9) / 0.8, 0.15, 1)  # flat at the neck
  lift = (0.012 + thickness * cover**1.5)[:, None]
  if style == "curly":
    lift = lift * (1 + 0.15 * np.sin(37 * x + 5 * z) * np.cos(31 * y))[:, None]
  mesh = head.load()
  normals = head.vertex_normals(parts.vertices, mesh.triangles)[vertices]
  return parts.with_part(
    parts.vertices[vertices] + lift * normals,
    triangles,
    head.HAIR,
    np.stack([cover, *_strand_coordinates(rest)], axis=1),
  )


def _cut_hull(parts, rng):
  """Cuts the mesh's hull of long hair to a length, and out of the face."""
  mesh = head.load()
  hull = mesh.vertices_of(head.LONG_HAIR)
  rest = mesh.vertices[hull]
  end = rng.uniform(5.6, 6.9)
  beside_face = (np.abs(rest[:, 0]) - rng.uniform(0.60, 0.72)) / 0.12 + 0.5
  attributes = parts.attributes.copy()
  attributes[hull, 0] = np.minimum((rest[:, 1] - end) / 0.4 + 0.5, beside_face)
  attributes[hull, 1:] = np.stack(_strand_coordinates(rest), axis=1)
  return dataclasses.replace(parts, attributes=attributes)


def _sample_style(shape, rng):
  """A haircut, with odds by sex and ancestry."""
  african = shape.ancestry[0]
  if shape.male > 0.5:
    odds = {"short": 5, "full": 3, "fringe": 1.5, "back": 1, "shaved": 2,
            "curly": 0.5 + 3 * african}  # fmt: skip
  else:
    odds = {"long": 4, "fringe": 3, "full": 1.5, "back": 2,
            "curly": 0.3 + 4 * african}  # fmt: skip
  weights = np.array(list(odds.values()))
  return str(rng.choice(list(odds), p=weights / weights.sum()))


@functools.cache
def scalp() -> tuple[
  Int[np.ndarray, "f 3"], Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]
]:
  """Where hair can grow: a shell of hair has its vertices in this order.

  Returns:
    The triangles, the vertices of the mesh that they index, and the positions
    of these at rest.
  """
  mesh = head.load()
  x, y, z = mesh.vertices.T
  hairy = coverage(x, y, z, 0.5, softness=0.4) > 0
  # Ears stick out of the hair: they lie beyond the sides of the skull.
  hairy &= ~((np.abs(x) > 0.70) & (y < 7.62) & (z > 0.1) & (y > 6.5))
  skin = mesh.materials == head.SKIN
  kept = skin & hairy[mesh.triangles].all(axis=1)
  vertices, triangles = np.unique(mesh.triangles[kept], return_inverse=True)
  return (
    triangles.reshape(-1, 3).astype(np.int32),
    vertices,
    mesh.vertices[vertices],
  )


def _strand_coordinates(positions):
  """Angle around the crown and distance from it: strands run outwards."""
  x, y, z = (positions - _CROWN).T
  angle = np.arctan2(x, z + 0.8) / np.pi  # the seam is at the back
  distance = np.sqrt(x * x + y * y + z * z) / 2.2
  return angle + 1, distance


def _strand_pattern(rng, curly):
  """Brightness, nearly constant along a strand; or that of curls."""
  rows, columns = (96, 96) if curly else (24, 640)
  pattern = rng.normal(size=(rows, columns))
  for _ in range(0 if curly else 3):
    pattern = pattern + np.roll(pattern, 1, axis=0)
  pattern = pattern + 0.6 * np.roll(pattern, 1, axis=1)
  pattern = (pattern - pattern.mean()) / pattern.std()
  return np.clip(0.5 + 0.22 * pattern, 0, 1).astype(np.float32)

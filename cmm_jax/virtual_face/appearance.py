"""What a head looks like: skin, lips, brows, beard, eyes, hair and glasses.

All of it is drawn at random from one generator, and all of it is ours. Colours
are written as people see them (sRGB, 0 to 1) and turned into light at the end.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from cmm_jax.virtual_face import hair_and_glasses, head, paint, teeth

_SKINS = np.array(
  [[0.40, 0.26, 0.19], [0.85, 0.66, 0.53], [0.89, 0.70, 0.61]], np.float32
)
_HAIRS = {
  "black": (0.07, 0.055, 0.05),
  "dark brown": (0.17, 0.11, 0.08),
  "brown": (0.33, 0.21, 0.13),
  "blond": (0.62, 0.48, 0.29),
  "red": (0.50, 0.24, 0.12),
  "grey": (0.58, 0.57, 0.56),
}
_IRISES = ((0.26, 0.15, 0.08), (0.34, 0.22, 0.10), (0.36, 0.50, 0.62),
           (0.38, 0.46, 0.33), (0.45, 0.48, 0.50))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Person:
  """A head ready to be drawn; the arrays are what rasterise.py takes."""

  places: Float[np.ndarray, "v 3"]
  triangles: Int[np.ndarray, "f 3"]
  materials: Int[np.ndarray, " f"]
  texture_triangles: Int[np.ndarray, "f 3"]
  texture_places: Float[np.ndarray, "u 2"]
  texture: Float[np.ndarray, "s s 5"]
  openness: Float[np.ndarray, " v"]
  extras: Float[np.ndarray, "v 3"]
  strands: Float[np.ndarray, "h w"]
  teeth: tuple[Float[np.ndarray, "_ _ 6"], ...]  # large to small
  colours: Float[np.ndarray, "m 3"]
  wrinkles: float  # how deep creases are, 0.35 for the young to 0.8
  roughness: float


def make_person(shape: head.Shape, rng: np.random.Generator) -> Person:
  """Dresses a shape with a skin, hair and eyes."""
  mesh = head.load()
  hair = _hair_colour(shape, rng)
  tone = _skin_tone(shape, rng)
  texture = paint.paint(shape, tone, hair, rng)
  places = head.shape_vertices(shape)
  _settle_mouth(places)
  extras = np.zeros_like(places)
  extras[:, 0] = mesh.vertices[:, 0]
  for eye in (head.RIGHT_EYE, head.LEFT_EYE):
    ball = mesh.vertices_of(eye)
    middle = places[ball].mean(axis=0)
    # A little smaller and further in than sculpted, so that a lid which closes
    # in a straight line does not cut through the ball.
    places[ball] = middle + 0.97 * (places[ball] - middle) - [0, 0, 0.012]
    away = places[ball] - places[ball].mean(axis=0)
    extras[ball] = away / np.linalg.norm(away, axis=1, keepdims=True)

  # Lashes: 1 is half covered, 0 a quarter.
  extras[mesh.vertices_of(head.LASHES), 0] = float(shape.male < 0.5)
  parts = hair_and_glasses.Parts(
    places=places,
    triangles=mesh.triangles,
    materials=mesh.materials,
    texture_triangles=mesh.texture_triangles,
    openness=mesh.openness,
    extras=extras,
  )
  parts, strands = hair_and_glasses.add_hair(parts, shape, rng)
  if rng.uniform() < 1 / 8:
    parts = hair_and_glasses.add_glasses(parts, rng)

  colours = np.zeros((10, 3))
  iris = _IRISES[int(rng.choice(len(_IRISES)))]
  dark_eyed = shape.ancestry[0] + shape.ancestry[1] > rng.uniform(0.3, 0.7)
  colours[head.RIGHT_EYE] = _IRISES[int(rng.integers(2))] if dark_eyed else iris
  colours[head.LEFT_EYE] = np.array([0.86, 0.84, 0.82]) * rng.uniform(0.94, 1)
  lightness = rng.uniform()
  colours[head.TONGUE] = (0.66, 0.34, 0.33)
  colours[head.GUMS] = (0.42, 0.17, 0.16)
  colours[head.LASHES] = 0.35 * np.array(hair)
  colours[[head.HAIR, head.LONG_HAIR]] = hair
  frames = ((0.08, 0.08, 0.09), (0.25, 0.15, 0.09), (0.55, 0.5, 0.4))
  colours[head.FRAME] = frames[int(rng.integers(3))]
  roughness = float(rng.uniform(0.35, 0.8))
  parts = _lay_teeth(parts, rng)
  arches = teeth.paint(lightness, float(tone.mean()), shape.old, rng)
  return Person(
    places=parts.places.astype(np.float32),
    triangles=parts.triangles,
    materials=parts.materials,
    texture_triangles=parts.texture_triangles,
    texture_places=paint.texture_places(),
    texture=texture,
    openness=parts.openness.astype(np.float32),
    extras=parts.extras.astype(np.float32),
    strands=strands,
    teeth=teeth.pyramid(arches),
    colours=paint.to_light(colours),
    wrinkles=0.35 + 0.5 * shape.old,
    roughness=roughness,
  )


def _lay_teeth(parts, rng):
  """Lays the texture along the arches; the lower one bites behind the upper."""
  arches = teeth.arches()
  places, extras = parts.places.copy(), parts.extras.copy()
  extras[arches.vertices, :2] = arches.places
  # How far teeth come out of the lips, and how far they overlap in a bite.
  places[arches.vertices, 1] -= np.clip(rng.normal(0.020, 0.012), -0.005, 0.05)
  lower = arches.vertices[arches.lower]
  places[lower] *= (0.96, 1.0, 1.0)
  places[lower] += (0.0, np.clip(rng.normal(0.04, 0.012), 0.01, 0.06), -0.03)
  inner = np.isin(parts.triangles, arches.inner).any(axis=1)
  parts = dataclasses.replace(parts, places=places, extras=extras)
  return parts.without(inner & (parts.materials == head.TEETH))


def _settle_mouth(places):
  """Shuts lips that the shape left apart, and lifts their corners a little."""
  mesh = head.load()
  upper, lower = places[mesh.landmarks[[62, 66]], 1]
  per_unit = 0.344  # decimetres by which a whole unit brings the lips together
  amounts = {
    "mouthClose": np.clip((upper - lower - 0.006) / per_unit, 0, 0.12),
    "mouthSmileLeft": 0.07,
    "mouthSmileRight": 0.07,
  }
  for name, amount in amounts.items():
    vertices, moves = mesh.targets[f"unit/{name}"]
    places[vertices] += np.float32(amount) * moves


def _skin_tone(shape, rng):
  """Mixed by ancestry, then lighter or darker and redder or yellower."""
  tone = np.asarray(shape.ancestry) @ _SKINS
  return (
    tone * rng.uniform(0.90, 1.06) * (1 + rng.normal(0, [0.01, 0.02, 0.03]))
  )


def _hair_colour(shape, rng):
  if shape.old > rng.uniform(0.45, 0.9):
    return np.array(_HAIRS["grey"]) * rng.uniform(0.7, 1.35)
  dark = shape.ancestry[0] + shape.ancestry[1]
  if dark > rng.uniform(0.2, 0.8):
    name = rng.choice(["black", "dark brown"])
  else:
    name = rng.choice(["dark brown", "brown", "brown", "blond", "blond", "red"])
  return np.array(_HAIRS[str(name)]) * rng.uniform(0.8, 1.25)

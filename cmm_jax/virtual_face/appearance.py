"""The appearance of a person: skin, eyes, teeth, hair and glasses (ours).

Colors are written in sRGB, 0 to 1, and converted to linear light at the end.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from cmm_jax.virtual_face import color_space, glasses, hair, head, skin, teeth
from cmm_jax.virtual_face.parts import Parts

_SKIN_TONES = np.array(
  [[0.40, 0.26, 0.19], [0.85, 0.66, 0.53], [0.89, 0.70, 0.61]], np.float32
)
_HAIR_COLORS = {
  "black": (0.07, 0.055, 0.05),
  "dark brown": (0.17, 0.11, 0.08),
  "brown": (0.33, 0.21, 0.13),
  "blond": (0.62, 0.48, 0.29),
  "red": (0.50, 0.24, 0.12),
  "gray": (0.58, 0.57, 0.56),
}
_IRISES = ((0.26, 0.15, 0.08), (0.34, 0.22, 0.10), (0.36, 0.50, 0.62),
           (0.38, 0.46, 0.33), (0.45, 0.48, 0.50))  # fmt: skip
_FRAMES = ((0.08, 0.08, 0.09), (0.25, 0.15, 0.09), (0.55, 0.5, 0.4))


@dataclasses.dataclass(frozen=True)
class Person:
  """A head that can be rendered.

  Attributes:
    vertices: positions at rest, in decimeters.
    triangles: vertices of each triangle.
    materials: of each triangle, numbered in head.py.
    uv_triangles: the corners of each triangle in `uv`.
    uv: coordinates in `skin`, column and row as fractions.
    skin: texture of linear red, green, blue and two maps of wrinkles.
    sky_visibility: of each vertex, 0 to 1.
    attributes: what a vertex means to its material. Skin: x at rest. Eyes:
      direction from the center of the ball. Teeth: column and row in `teeth`,
      as fractions. Hair: cover, then coordinates in `strands`. Lashes: 1 covers
      a half, 0 a quarter.
    strands: brightness of the hair.
    teeth: textures from large to small, see teeth.py.
    colors: of each material, linear. The eyes have the rows `head.IRIS` and
      `head.SCLERA`.
    wrinkles: depth of the wrinkles, 0.35 for the young to 0.8.
    roughness: of the skin, 0 glossy to 1 dull.
  """

  vertices: Float[np.ndarray, "v 3"]
  triangles: Int[np.ndarray, "f 3"]
  materials: Int[np.ndarray, " f"]
  uv_triangles: Int[np.ndarray, "f 3"]
  uv: Float[np.ndarray, "u 2"]
  skin: Float[np.ndarray, "s s 5"]
  sky_visibility: Float[np.ndarray, " v"]
  attributes: Float[np.ndarray, "v 3"]
  strands: Float[np.ndarray, "h w"]
  teeth: tuple[Float[np.ndarray, "_ _ 6"], ...]
  colors: Float[np.ndarray, "m 3"]
  wrinkles: float
  roughness: float


def make_person(
  shape: head.Shape,
  rng: np.random.Generator,
  skin_size: int = skin.TEXTURE_SIZE,
) -> Person:
  """Gives a shape a sampled appearance.

  Args:
    shape: of the head.
    rng: samples the appearance.
    skin_size: height and width of the skin's texture.
  """
  mesh = head.load()
  hair_color = _sample_hair_color(shape, rng)
  tone = _sample_skin_tone(shape, rng)
  texture = skin.make_texture(shape, tone, hair_color, rng, skin_size)
  vertices = head.shape_vertices(shape)
  _relax_mouth(vertices)
  attributes = np.zeros_like(vertices)
  attributes[:, 0] = mesh.vertices[:, 0]
  for eye in (head.RIGHT_EYE, head.LEFT_EYE):
    _set_eye(vertices, attributes, mesh.vertices_of(eye))
  attributes[mesh.vertices_of(head.LASHES), 0] = float(shape.male < 0.5)
  parts = Parts(
    vertices=vertices,
    triangles=mesh.triangles,
    materials=mesh.materials,
    uv_triangles=mesh.uv_triangles,
    sky_visibility=mesh.sky_visibility,
    attributes=attributes,
  )
  parts, strands = hair.add(parts, shape, rng)
  if rng.uniform() < 1 / 8:
    parts = glasses.add(parts, rng)

  colors = np.zeros((head.NUM_MATERIALS, 3))
  iris = _IRISES[int(rng.choice(len(_IRISES)))]
  dark_eyed = shape.ancestry[0] + shape.ancestry[1] > rng.uniform(0.3, 0.7)
  colors[head.IRIS] = _IRISES[int(rng.integers(2))] if dark_eyed else iris
  colors[head.SCLERA] = np.array([0.86, 0.84, 0.82]) * rng.uniform(0.94, 1)
  lightness = rng.uniform()  # of the enamel
  colors[head.TONGUE] = (0.66, 0.34, 0.33)
  colors[head.GUMS] = (0.42, 0.17, 0.16)
  colors[head.LASHES] = 0.35 * hair_color
  colors[[head.HAIR, head.LONG_HAIR]] = hair_color
  colors[head.FRAME] = _FRAMES[int(rng.integers(3))]
  roughness = float(rng.uniform(0.35, 0.8))
  parts = teeth.fit(parts, rng)
  arches = teeth.make_texture(lightness, float(tone.mean()), shape.old, rng)
  return Person(
    vertices=parts.vertices.astype(np.float32),
    triangles=parts.triangles,
    materials=parts.materials,
    uv_triangles=parts.uv_triangles,
    uv=skin.face_uv(),
    skin=texture,
    sky_visibility=parts.sky_visibility.astype(np.float32),
    attributes=parts.attributes.astype(np.float32),
    strands=strands,
    teeth=teeth.pyramid(arches),
    colors=color_space.srgb_to_linear(colors),
    wrinkles=0.35 + 0.5 * shape.old,
    roughness=roughness,
  )


def _set_eye(vertices, attributes, ball):
  """Shrinks and sinks an eyeball a little, for the lids to close over it."""
  center = vertices[ball].mean(axis=0)
  vertices[ball] = center + 0.97 * (vertices[ball] - center) - [0, 0, 0.012]
  away = vertices[ball] - vertices[ball].mean(axis=0)
  attributes[ball] = away / np.linalg.norm(away, axis=1, keepdims=True)


def _relax_mouth(vertices):
  """Closes lips that the shape parts, and lifts their corners a little."""
  mesh = head.load()
  upper, lower = vertices[mesh.landmarks[[62, 66]], 1]
  closing = 0.344  # decimeters by which mouthClose brings the lips together
  weights = {
    "mouthClose": np.clip((upper - lower - 0.006) / closing, 0, 0.12),
    "mouthSmileLeft": 0.07,
    "mouthSmileRight": 0.07,
  }
  for name, weight in weights.items():
    moved, offsets = mesh.targets[f"blendshape/{name}"]
    vertices[moved] += np.float32(weight) * offsets


def _sample_skin_tone(shape, rng):
  """Mixed by ancestry, then varied in lightness and hue."""
  tone = np.asarray(shape.ancestry) @ _SKIN_TONES
  return (
    tone * rng.uniform(0.90, 1.06) * (1 + rng.normal(0, [0.01, 0.02, 0.03]))
  )


def _sample_hair_color(shape, rng):
  if shape.old > rng.uniform(0.45, 0.9):
    return np.array(_HAIR_COLORS["gray"]) * rng.uniform(0.7, 1.35)
  dark = shape.ancestry[0] + shape.ancestry[1]
  if dark > rng.uniform(0.2, 0.8):
    name = rng.choice(["black", "dark brown"])
  else:
    name = rng.choice(["dark brown", "brown", "brown", "blond", "blond", "red"])
  return np.array(_HAIR_COLORS[str(name)]) * rng.uniform(0.8, 1.25)

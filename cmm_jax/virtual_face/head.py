"""The head: its mesh, its shape parameters and its 68 landmarks.

The mesh is MakeHuman's (CC0, see NOTICE.md). Lengths are in decimeters; x
points to the person's left, y up and z out of the face. The distribution of
shapes is ours and describes no population.
"""

import dataclasses
import functools
import itertools
import pathlib

import numpy as np
from jaxtyping import Float, Int

from cmm_jax import landmarks

# Materials of triangles, as in head.npz.
SKIN, RIGHT_EYE, LEFT_EYE, TEETH, TONGUE, LONG_HAIR, LASHES, GUMS = range(8)
# Materials of what appearance.py adds.
HAIR, FRAME = 8, 9
NUM_MATERIALS = 10
# The eyes' rows in the colors of the materials; both eyes have the same colors.
IRIS, SCLERA = RIGHT_EYE, LEFT_EYE

# The part of the mesh's texture that holds the face: left, bottom, right, top.
FACE_WINDOW = (0.70, 0.31, 1.0, 0.66)

# Vertices of MakeHuman's base mesh at the landmarks on the person's right side
# and in the middle; the left side mirrors them. Of all visible vertices these
# are closest to dlib's landmarks of rendered faces, at rest and smiling: within
# 2.8 and 3.0 % of the distance between the outer eye corners.
_RIGHT_LANDMARKS = {
  **{0: 5755, 1: 5446, 2: 5246, 3: 910, 4: 895},  # jaw
  **{5: 1001, 6: 5295, 7: 993, 8: 732},
  **{17: 5262, 18: 232, 19: 229, 20: 223, 21: 228},  # brow
  **{27: 132, 28: 131, 29: 164, 30: 294, 31: 344, 32: 313, 33: 317},  # nose
  **{36: 27, 37: 0, 38: 1073, 39: 72, 40: 46, 41: 4860},  # eye
  **{48: 529, 49: 410, 50: 456, 51: 455, 57: 492, 58: 486, 59: 480},  # lips
  **{60: 437, 61: 462, 62: 474, 66: 494, 67: 534},
}

# Standard deviation of a slider. Faces are caricatures at 0.25.
_DETAIL_STRENGTH = 0.175
_OPPOSITES = (
  ("decr", "incr"),
  ("down", "up"),
  ("in", "out"),
  ("backward", "forward"),
  ("concave", "convex"),
  ("compress", "uncompress"),
)
_OUTLINES = (
  "oval", "round", "rectangular", "square", "invertedtriangular", "diamond"
)  # fmt: skip
# Sliders that distort the mouth or the hair at large values.
_TIMID = ("mouth-angles", "mouth-dimples", "mouth-laugh", "mouth-scale-depth",
          "head-trans", "head-scale", "head-age", "ear-", "eye-push",
          "eye-trans", "mouth-trans", "lip-height", "lip-middle")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Head:
  """The mesh at rest and its morph targets; arrays as in head.npz.

  Attributes:
    vertices: positions at rest.
    triangles: vertices of each triangle.
    uv: coordinates in MakeHuman's whole texture, v upwards.
    uv_triangles: the corners of each triangle in `uv`.
    materials: of each triangle.
    mirror: each vertex' twin on the other side.
    sky_visibility: of each vertex: 0 in a crease, 1 on the forehead (one minus
      the ambient occlusion).
    landmarks: the vertex of each landmark.
    targets: name of a morph target -> the vertices it moves and their offsets.
      Names start with "blendshape/" (ARKit's), "macro/" or a part of the face.
    masks: regions of the skin in the face's window of the texture, 0 to 1.
  """

  vertices: Float[np.ndarray, "v 3"]
  triangles: Int[np.ndarray, "f 3"]
  uv: Float[np.ndarray, "u 2"]
  uv_triangles: Int[np.ndarray, "f 3"]
  materials: Int[np.ndarray, " f"]
  mirror: Int[np.ndarray, " v"]
  sky_visibility: Float[np.ndarray, " v"]
  landmarks: Int[np.ndarray, "68"]
  targets: dict[str, tuple[np.ndarray, np.ndarray]]
  masks: dict[str, Float[np.ndarray, "h w"]]

  def vertices_of(self, *materials: int) -> Int[np.ndarray, " n"]:
    """The vertices of the triangles of these materials."""
    return np.unique(self.triangles[np.isin(self.materials, materials)])


@functools.cache
def load() -> Head:
  """Reads head.npz."""
  path = pathlib.Path(__file__).with_name("head.npz")
  with path.open("rb") as file, np.load(file) as packed:
    arrays = dict(packed)
  starts = arrays["target_starts"]
  offsets = arrays["target_offsets"].astype(np.float32)
  targets = {}
  for i, name in enumerate(arrays["target_names"]):
    rows = slice(starts[i], starts[i + 1])
    targets[str(name)] = (
      arrays["target_vertices"][rows].astype(np.int32),
      offsets[rows] * arrays["target_scales"][i],
    )
  return Head(
    vertices=arrays["vertices"],
    triangles=arrays["triangles"].astype(np.int32),
    uv=arrays["uv"],
    uv_triangles=arrays["uv_triangles"].astype(np.int32),
    materials=arrays["materials"].astype(np.int32),
    mirror=arrays["mirror"].astype(np.int32),
    sky_visibility=arrays["sky_visibility"].astype(np.float32) / 255,
    landmarks=_landmark_vertices(arrays["base_indices"], arrays["mirror"]),
    targets=targets,
    masks={
      name.removeprefix("mask_"): arrays[name].astype(np.float32) / 255
      for name in arrays
      if name.startswith("mask_")
    },
  )


def _landmark_vertices(base_indices, mirror):
  """The vertices of all 68 landmarks in the packed mesh."""
  index = {int(old): new for new, old in enumerate(base_indices)}
  vertices = np.full(landmarks.NUM_POINTS, -1, np.int32)
  for point, vertex in _RIGHT_LANDMARKS.items():
    vertices[landmarks.MIRROR[point]] = mirror[index[vertex]]
    vertices[point] = index[vertex]
  return vertices


@dataclasses.dataclass(frozen=True)
class Shape:
  """Parameters of a head's shape. Fractions are 0 to 1."""

  ancestry: tuple[float, float, float]  # MakeHuman's african, asian, caucasian
  male: float
  old: float  # 0 is about 25 years, 1 about 80
  weight: float  # -1 thin to 1 heavy
  details: dict[str, float]  # slider without its ending -> -1 to 1


def sample_shape(rng: np.random.Generator) -> Shape:
  """Samples a plausible head: mixed ancestry, any age, mild sliders (ours)."""
  details = {}
  for stem in _slider_stems():
    name = stem[0]
    timid = any(word in name for word in _TIMID)
    deviation = _DETAIL_STRENGTH * (0.35 if timid else 1.0)
    amount = float(np.clip(rng.normal(0, deviation), -0.45, 0.45))
    if "/l-" in name:  # real faces are slightly asymmetric
      twin = name.replace("/l-", "/r-")
      details[twin] = amount + float(rng.normal(0, 0.02))
    details[name] = amount
  for outline in _OUTLINES:
    details[f"head/head-{outline}"] = float(max(0, rng.normal(-0.2, 0.3)))
  return Shape(
    ancestry=tuple(rng.dirichlet([0.5, 0.5, 0.5]).tolist()),
    male=float(rng.beta(0.35, 0.35)),
    old=float(0.85 * rng.beta(0.9, 1.4)),
    weight=float(np.clip(rng.normal(0, 0.35), -0.8, 0.9)),
    details=details,
  )


@functools.cache
def _slider_stems():
  """(stem, low ending, high ending) of the sliders, left side for pairs."""
  stems = []
  names = load().targets
  for name in sorted(names):
    for low, high in _OPPOSITES:
      stem = name.removesuffix(f"-{low}")
      if stem != name and f"{stem}-{high}" in names and "/r-" not in name:
        stems.append((stem, low, high))
  return tuple(stems)


def shape_vertices(shape: Shape) -> Float[np.ndarray, "v 3"]:
  """The vertices of a head of that shape, at rest."""
  head = load()
  vertices = head.vertices.copy()

  def add(name, amount):
    moved, offsets = head.targets.get(name, (None, None))
    if moved is not None and amount:
      vertices[moved] += np.float32(amount) * offsets

  sexes = (("female", 1 - shape.male), ("male", shape.male))
  ages = (("young", 1 - shape.old), ("old", shape.old))
  weights = (
    ("averageweight", 1 - abs(shape.weight)),
    ("minweight", max(0, -shape.weight)),
    ("maxweight", max(0, shape.weight)),
  )
  names = ("african", "asian", "caucasian")
  for (sex, a), (age, b) in itertools.product(sexes, ages):
    for name, c in zip(names, shape.ancestry, strict=True):
      add(f"macro/{name}-{sex}-{age}", a * b * c)
    for weight, c in weights:
      add(f"macro/universal-{sex}-{age}-averagemuscle-{weight}", a * b * c)
  endings = {stem: (low, high) for stem, low, high in _slider_stems()}
  for stem, amount in shape.details.items():
    low, high = endings.get(stem.replace("/r-", "/l-"), ("", ""))
    ending = f"-{low if amount < 0 else high}" if low else ""
    add(stem + ending, abs(amount))
  return vertices


def vertex_normals(
  vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "v 3"]:
  """Unit normals of the vertices: area-weighted means of their triangles'."""
  a, b, c = (vertices[triangles[:, i]] for i in range(3))
  faces = np.cross(b - a, c - a)
  normals = np.zeros_like(vertices)
  for corner in range(3):
    np.add.at(normals, triangles[:, corner], faces)
  return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)

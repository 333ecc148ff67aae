"""The avatar's head: a person without an identity, and its parts for glTF."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import spatial

from cmm_jax.avatar import arkit
from cmm_jax.virtual_face import appearance, head

# Average in every slider; the seed gives hair that leaves the face free.
_SHAPE = head.Shape(
  ancestry=(1 / 3, 1 / 3, 1 / 3), male=0.0, old=0.05, weight=0.0, details={}
)
_SEED = 0

_METERS = 0.1  # per decimeter
# The origin: between the collar bones.
_ORIGIN = np.array([0.0, 5.9, 0.0], np.float32)
# Smaller offsets are dropped, in decimeters and of a unit normal.
_NEGLIGIBLE, _NEGLIGIBLE_NORMAL = 2e-4, 4e-3


@dataclasses.dataclass(frozen=True)
class Part:
  """The triangles of one material. Lengths are in meters.

  Attributes:
    positions, normals: at rest.
    uv: coordinates in the material's texture, v downwards.
    colors: factors on the texture, in [0, 255]; the last one is alpha.
    triangles: vertices of each triangle.
    offsets, normal_offsets: of each of `arkit.NAMES`.
  """

  positions: Float[np.ndarray, "v 3"]
  normals: Float[np.ndarray, "v 3"]
  uv: Float[np.ndarray, "v 2"]
  colors: UInt8[np.ndarray, "v 4"]
  triangles: Int[np.ndarray, "f 3"]
  offsets: Float[np.ndarray, "52 v 3"]
  normal_offsets: Float[np.ndarray, "52 v 3"]


@functools.cache
def person() -> appearance.Person:
  """The person that the avatar is."""
  return appearance.make_person(_SHAPE, np.random.default_rng(_SEED))


@functools.cache
def parts() -> dict[str, Part]:
  """The head's parts by material: skin, eyes, teeth, mouth, hair, lashes."""
  shown = person()
  uv = shown.uv[shown.uv_triangles]
  attributes = shown.attributes
  white = np.ones((len(shown.vertices), 3))
  skin_shade = white * (0.45 + 0.55 * shown.sky_visibility[:, None])
  corner = attributes[shown.triangles]
  return {
    "skin": _part((head.SKIN,), uv, skin_shade),
    "eyes": _part(
      (head.RIGHT_EYE, head.LEFT_EYE),
      0.5 + np.array([0.5, -0.5]) * corner[..., :2],
      white * _eye_shade(attributes)[:, None],
    ),
    "teeth": _part((head.TEETH,), corner[..., :2], white * _mouth_shade()),
    "gums": _part((head.GUMS,), uv, white * _mouth_shade()),
    "tongue": _part((head.TONGUE,), uv, white * _mouth_shade()),
    "hair": _part(
      (head.HAIR,), _unwrapped(corner[..., 1:]), white, attributes[:, 0]
    ),
    "lashes": _part((head.LASHES,), uv, white, 0.35 + 0.3 * attributes[:, 0]),
  }


def _eye_shade(attributes):
  """The lids shade an eye, above and at its corners."""
  x, y, _ = attributes.T
  return np.clip(0.95 - 0.45 * np.maximum(y, 0) - 0.3 * np.abs(x), 0.2, 1)


def _mouth_shade():
  """The mouth darkens with the distance behind the lips."""
  z = person().vertices[:, 2:]
  front = person().vertices[head.load().landmarks[62], 2]
  return np.clip(1.05 - 1.1 * (front - z), 0.08, 1)


def _unwrapped(uv):
  """The coordinates of triangles across the seam of a periodic axis."""
  uv = uv.copy()
  across = np.ptp(uv[..., 0], axis=1) > 1
  uv[across, :, 0] += 2 * (uv[across, :, 0] < 1)
  return uv


def _part(materials, uv, shade, alpha=None):
  """The part that consists of some materials of the head's mesh.

  Args:
    materials: numbers as in head.py.
    uv: of the corners of all triangles, [f 3 2].
    shade: of all vertices, [v 3].
    alpha: of all vertices, or 1.
  """
  shown = person()
  chosen = np.isin(shown.materials, materials)
  corners = shown.triangles[chosen].reshape(-1)
  keys = np.column_stack([corners, uv[chosen].reshape(-1, 2)])
  vertices, triangles = np.unique(keys, axis=0, return_inverse=True)
  of = vertices[:, 0].astype(int)
  alpha = np.ones(len(shown.vertices)) if alpha is None else alpha
  colors = np.column_stack([shade, alpha])[of]
  normals, normal_offsets = _normals(tuple(materials))
  offsets = _without_small(_offsets()[:, of], _NEGLIGIBLE)
  normal_offsets = _without_small(normal_offsets[:, of], _NEGLIGIBLE_NORMAL)
  return Part(
    positions=(_METERS * (shown.vertices[of] - _ORIGIN)).astype(np.float32),
    normals=normals[of].astype(np.float32),
    uv=vertices[:, 1:].astype(np.float32),
    colors=np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8),
    triangles=triangles.reshape(-1, 3).astype(np.uint32),
    offsets=(_METERS * offsets).astype(np.float32),
    normal_offsets=normal_offsets.astype(np.float32),
  )


def _without_small(offsets, least):
  """The offsets [52 v 3], 0 for vertices that hardly move."""
  small = np.abs(offsets).max(axis=-1, keepdims=True) < least
  return np.where(small, 0, offsets)


@functools.cache
def _offsets():
  """The offsets of every vertex under each blendshape, [52 v 3].

  Vertices that the mesh does not have, those of hair, move with the nearest.
  """
  mesh, shown = head.load(), person()
  skin = mesh.vertices_of(head.SKIN)
  added = shown.vertices[len(mesh.vertices) :]
  _, nearest = spatial.cKDTree(shown.vertices[skin]).query(added)
  offsets = np.zeros((len(arkit.NAMES), *shown.vertices.shape), np.float32)
  for number, name in enumerate(arkit.NAMES):
    moved, by = mesh.targets[f"blendshape/{name}"]
    offsets[number, moved] = by
  offsets[:, len(mesh.vertices) :] = offsets[:, skin[nearest]]
  return offsets


@functools.cache
def _normals(materials):
  """Normals of every vertex, and their offsets under each blendshape.

  The skin is smooth across the lips, so its normals include the gums'.
  """
  shown = person()
  if set(materials) & {head.SKIN, head.GUMS}:
    materials = head.SKIN, head.GUMS
  triangles = shown.triangles[np.isin(shown.materials, materials)]
  rest = head.vertex_normals(shown.vertices, triangles)
  used = np.unique(triangles)
  rest_of_others = ~np.isin(np.arange(len(rest)), used)
  rest[rest_of_others] = (0, 0, 1)
  changes = np.zeros((len(arkit.NAMES), *rest.shape), np.float32)
  for number, offsets in enumerate(_offsets()):
    if offsets[used].any():
      moved = head.vertex_normals(shown.vertices + offsets, triangles)
      changes[number, used] = moved[used] - rest[used]
  return rest, changes

"""The avatar's head: a person without an identity, and its parts for glTF."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import spatial

from cmm_jax.avatar import arkit
from cmm_jax.virtual_face import appearance, hair, head

# Average in every slider; the seed gives hair that leaves the face free.
_SHAPE = head.Shape(
  ancestry=(1 / 3, 1 / 3, 1 / 3), male=0.0, old=0.05, weight=0.0, details={}
)
_SEED = 116
_SKIN_SIZE = 1024

_METERS = 0.1  # per decimeter
_CHIN_TO_NECK = 1.0  # decimeters
# The bust ends on a sphere at the neck, in decimeters from the origin.
_BUST_TOP, _BUST_CENTER, _BUST_RADIUS = -0.15, (0.0, 0.1, 0.0), 0.75
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
  """The person that the avatar is.

  The shell of hair comes down to the skin where it fades.
  """
  made = appearance.make_person(
    _SHAPE, np.random.default_rng(_SEED), _SKIN_SIZE
  )
  vertices = made.vertices.copy()
  attributes = made.attributes.copy()
  shell = slice(len(head.load().vertices), None)
  triangles, roots, rest = hair.scalp()
  cover = _hair_cover(attributes[shell, 0], rest, triangles)
  attributes[shell] = np.column_stack([cover, _strand_coordinates(rest)])
  lift = (0.1 + 0.9 * cover**3)[:, None]
  vertices[shell] = lift * vertices[shell] + (1 - lift) * vertices[roots]
  return dataclasses.replace(made, vertices=vertices, attributes=attributes)


@functools.cache
def _origin():
  """The avatar's origin, in the neck, as high as the tip of the chin."""
  return person().vertices[head.load().landmarks[8]] - [0, 0, _CHIN_TO_NECK]


@functools.cache
def parts() -> dict[str, Part]:
  """The head's parts by material: skin, eyes, teeth, mouth, hair, lashes."""
  shown = person()
  uv = _without_seams(shown.uv[shown.uv_triangles])
  attributes = shown.attributes
  white = np.ones((len(shown.vertices), 3))
  skin_shade = white * (0.45 + 0.55 * shown.sky_visibility[:, None])
  corner = attributes[shown.triangles]
  return {
    "skin": _cut(_part((head.SKIN,), uv, skin_shade)),
    "eyes": _part(
      (head.RIGHT_EYE, head.LEFT_EYE),
      0.5 + np.array([0.5, -0.5]) * corner[..., :2],
      white * _eye_shade(attributes)[:, None],
    ),
    "teeth": _part((head.TEETH,), corner[..., :2], white * _mouth_shade()),
    "gums": _part((head.GUMS,), uv, white * _mouth_shade()),
    "tongue": _part((head.TONGUE,), uv, white * 0.5 * _mouth_shade()),
    "hair": _part(
      (head.HAIR,), _unwrapped(corner[..., 1:]), white, attributes[:, 0]
    ),
    "lashes": _part((head.LASHES,), uv, white, _lash_cover()),
  }


def _eye_shade(attributes):
  """The lids shade an eye, above and at its corners."""
  x, y, _ = attributes.T
  return np.clip(0.95 - 0.45 * np.maximum(y, 0) - 0.3 * np.abs(x), 0.2, 1)


def _hair_cover(cover, rest, triangles):
  """Hair fades at the hairline, above the ears and where its shell ends."""
  x, y, z = rest.T
  cover = (cover - 0.1) / 0.5
  sideburns = (np.abs(x) > 0.5) & (z > 0.1)
  cover = np.where(sideburns, np.minimum(cover, (y - 7.45) / 0.35), cover)
  edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2))
  edges, count = np.unique(edges, axis=0, return_counts=True)
  rings = np.full(len(rest), 3.0)  # of triangles from the end of the shell
  rings[edges[count == 1]] = 0
  for _ in range(2):
    nearest = rings[edges].min(axis=1) + 1
    np.minimum.at(rings, edges.ravel(), np.repeat(nearest, 2))
  cover = np.clip(cover, 0, 1) * rings / 3
  return cover * cover * (3 - 2 * cover)


def _strand_coordinates(rest):
  """Angle around the crown and distance from it: strands run outwards.

  Unlike hair.py's, which are made for views from the front.
  """
  center, crown = np.array([0.0, 7.6, 0.1]), np.array([0.0, 0.88, -0.475])
  front = np.cross([1.0, 0.0, 0.0], crown)
  away = rest - center
  away /= np.linalg.norm(away, axis=1, keepdims=True)
  angle = np.arctan2(away[:, 0], away @ front) / np.pi
  return np.column_stack([angle + 1, np.arccos(away @ crown) / 2])


def _lash_cover():
  """Lashes fade with the distance from the lid."""
  shown, mesh = person(), head.load()
  skin = shown.vertices[mesh.vertices_of(head.SKIN)]
  distance, _ = spatial.cKDTree(skin).query(shown.vertices)
  lashes = mesh.vertices_of(head.LASHES)
  return 0.85 * (1 - distance / distance[lashes].max())


def _mouth_shade():
  """The mouth darkens with the distance behind the lips and to its corners."""
  x, _, z = person().vertices.T
  front = person().vertices[head.load().landmarks[62], 2]
  behind = 1.05 - 1.1 * (front - z)
  beside = 1 - 0.85 * np.clip((np.abs(x) - 0.14) / 0.16, 0, 1)
  return np.clip(behind * beside, 0.06, 1)[:, None]


def _without_seams(uv):
  """Triangles at the edge of the texture have the one color beyond it."""
  uv = uv.copy()
  values, count = np.unique(uv.reshape(-1, 2), axis=0, return_counts=True)
  for pinned in values[np.argsort(count)[-2:]]:  # of forehead and scalp
    is_pinned = (uv == pinned).all(axis=-1)
    uv[is_pinned.any(axis=1)] = pinned
  return uv


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
    positions=(_METERS * (shown.vertices[of] - _origin())).astype(np.float32),
    normals=normals[of].astype(np.float32),
    uv=vertices[:, 1:].astype(np.float32),
    colors=np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8),
    triangles=triangles.reshape(-1, 3).astype(np.uint32),
    offsets=(_METERS * offsets).astype(np.float32),
    normal_offsets=normal_offsets.astype(np.float32),
  )


def _cut(part):
  """Ends the bust on a sphere: the mesh ends at the edges of its polygons."""
  positions = part.positions / _METERS
  depth = _BUST_RADIUS - np.linalg.norm(positions - _BUST_CENTER, axis=1)
  depth = np.maximum(depth, positions[:, 1] - _BUST_TOP)
  corners = depth[part.triangles]
  whole = part.triangles[(corners > 0).all(axis=1)]
  added, shares = {}, []

  def between(inner, outer):
    """The vertex where an edge leaves the sphere."""
    key = inner, outer
    if key not in added:
      added[key] = len(depth) + len(added)
      share = depth[inner] / (depth[inner] - depth[outer])
      shares.append((inner, outer, share))
    return added[key]

  triangles = []
  for triangle in part.triangles[
    (corners > 0).any(axis=1) & (corners <= 0).any(axis=1)
  ]:
    ring = []
    for one, other in zip(triangle, np.roll(triangle, -1), strict=True):
      if depth[one] > 0:
        ring.append(one)
      if (depth[one] > 0) != (depth[other] > 0):
        ring.append(
          between(one, other) if depth[one] > 0 else between(other, one)
        )
    triangles += [(ring[0], *ring[i : i + 2]) for i in range(1, len(ring) - 1)]
  inner, outer, share = zip(*shares, strict=True)
  inner, outer, share = np.array(inner), np.array(outer), np.array(share)
  used, triangles = np.unique(
    np.concatenate([whole, np.array(triangles)]), return_inverse=True
  )

  def extended(values):
    axis = values.ndim - 2
    weight = share[:, None]
    new = (1 - weight) * values.take(inner, axis)
    new = new + weight * values.take(outer, axis)
    if values.dtype == np.uint8:
      new = np.round(new)
    every = np.concatenate([values, new.astype(values.dtype)], axis)
    return every.take(used, axis)

  arrays = {
    field.name: extended(getattr(part, field.name))
    for field in dataclasses.fields(part)
    if field.name != "triangles"
  }
  normals = arrays["normals"]
  normals /= np.linalg.norm(normals, axis=1, keepdims=True)
  return Part(**arrays, triangles=triangles.reshape(-1, 3).astype(np.uint32))


def _without_small(offsets, least):
  """The offsets [52 v 3], 0 for vertices that hardly move."""
  small = np.abs(offsets).max(axis=-1, keepdims=True) < least
  return np.where(small, 0, offsets)


@functools.cache
def _offsets():
  """The offsets of every vertex under each blendshape, [52 v 3].

  Hair moves with the skin that it grows on.
  """
  mesh, shown = head.load(), person()
  _, roots, _ = hair.scalp()
  offsets = np.zeros((len(arkit.NAMES), *shown.vertices.shape), np.float32)
  for number, name in enumerate(arkit.NAMES):
    moved, by = mesh.targets[f"blendshape/{name}"]
    offsets[number, moved] = by
  offsets[:, len(mesh.vertices) :] = offsets[:, roots]
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

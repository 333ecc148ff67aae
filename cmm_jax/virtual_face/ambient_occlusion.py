"""Ambient occlusion of a mesh, by casting rays from its vertices."""

import numba
import numpy as np
from jaxtyping import Float, Int

from cmm_jax.virtual_face import head

_NUM_RAYS = 128  # per vertex
_REACH = 0.6  # decimeters: more distant triangles do not occlude


def sky_visibility(
  positions: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " v"]:
  """The cosine-weighted fraction of the sky over each vertex that is free.

  Args:
    positions: of the vertices, in decimeters.
    triangles: the occluders. Vertices of none of them are given 1.
  """
  normals = head.vertex_normals(positions, triangles)
  # A Fibonacci sphere: evenly spread directions without a random generator.
  turn = np.arange(_NUM_RAYS) * np.pi * (3 - np.sqrt(5))
  height = 1 - (2 * np.arange(_NUM_RAYS) + 1) / _NUM_RAYS
  ring = np.sqrt(1 - height**2)
  rays = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
  return _cast(positions, normals, triangles, rays, _REACH)


@numba.njit(parallel=True)
def _cast(positions, normals, triangles, rays, reach):
  free_fractions = np.ones(len(positions))
  for vertex in numba.prange(len(positions)):
    normal = normals[vertex]
    if _dot(normal, normal) == 0:
      continue  # no triangle has this vertex
    start = positions[vertex] + 0.01 * normal
    near = np.zeros(len(triangles), np.bool_)
    for t in range(len(triangles)):
      away = positions[triangles[t, 0]] - start
      near[t] = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 < (reach + 0.2) ** 2
    close = triangles[near]
    free = total = 0.0
    for ray in rays:
      cosine = _dot(ray, normal)
      if cosine > 0.05:
        total += cosine
        if not _is_hit(start, ray, positions, close, reach):
          free += cosine
    free_fractions[vertex] = free / max(total, 1e-9)
  return free_fractions


@numba.njit
def _is_hit(start, ray, positions, triangles, reach):
  """Whether the ray hits a triangle within reach (Moeller-Trumbore)."""
  for a, b, c in triangles:
    side, other = positions[b] - positions[a], positions[c] - positions[a]
    across = _cross(ray, other)
    volume = _dot(side, across)
    if abs(volume) < 1e-12:
      continue
    offset = start - positions[a]
    u = _dot(offset, across) / volume
    turned = _cross(offset, side)
    v = _dot(ray, turned) / volume
    distance = _dot(other, turned) / volume
    if u >= 0 and v >= 0 and u + v <= 1 and 0 < distance < reach:
      return True
  return False


@numba.njit
def _dot(a, b):
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@numba.njit
def _cross(a, b):
  return np.array(
    [
      a[1] * b[2] - a[2] * b[1],
      a[2] * b[0] - a[0] * b[2],
      a[0] * b[1] - a[1] * b[0],
    ]
  )

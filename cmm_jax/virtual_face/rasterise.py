"""The geometry of one frame: morph, project, normals, z-buffer.

Compiled, and without a lock, so that threads draw frames side by side. The sums
run in a fixed order and without fast-math: the same numbers in give the same
bytes out, on any thread.
"""

import numba
import numpy as np

from cmm_jax.virtual_face.head import HAIR, LASHES, LONG_HAIR, SKIN, TEETH

_DISTANCE = 12.0  # of the camera from the head, in decimetres


@numba.njit(nogil=True, cache=True)
def morph(places, starts, vertices, moves, weights):
  """The vertices [v, 3] with each unit moved by its weight."""
  moved = places.copy()
  for unit in range(len(weights)):
    weight = weights[unit]
    if weight == 0:
      continue
    for row in range(starts[unit], starts[unit + 1]):
      for axis in range(3):
        moved[vertices[row], axis] += weight * moves[row, axis]
  return moved


@numba.njit(nogil=True, cache=True)
def project(places, turn, pivot, scale, middle):
  """Turns the head about the pivot and sees it in perspective.

  Returns:
    [v, 3]: x and y in pixels (y downwards), z towards the camera in decimetres.
  """
  seen = np.empty_like(places)
  for v in range(len(places)):
    x = places[v, 0] - pivot[0]
    y = places[v, 1] - pivot[1]
    z = places[v, 2] - pivot[2]
    right = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z
    up = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
    near = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
    zoom = scale / (1 - near / _DISTANCE)
    seen[v, 0] = middle[0] + right * zoom
    seen[v, 1] = middle[1] - up * zoom
    seen[v, 2] = near
  return seen


@numba.njit(nogil=True, cache=True)
def normals_of(seen, triangles, materials, scale):
  """Unit normals [v, 3] in the camera's axes, from projected places."""
  normals = np.zeros_like(seen)
  for t in range(len(triangles)):
    if materials[t] == LASHES:
      continue
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ux = (seen[b, 0] - seen[a, 0]) / scale
    uy = -(seen[b, 1] - seen[a, 1]) / scale
    uz = seen[b, 2] - seen[a, 2]
    wx = (seen[c, 0] - seen[a, 0]) / scale
    wy = -(seen[c, 1] - seen[a, 1]) / scale
    wz = seen[c, 2] - seen[a, 2]
    nx = uy * wz - uz * wy
    ny = uz * wx - ux * wz
    nz = ux * wy - uy * wx
    for corner in (a, b, c):
      normals[corner, 0] += nx
      normals[corner, 1] += ny
      normals[corner, 2] += nz
  for v in range(len(normals)):
    x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
    length = np.sqrt(x * x + y * y + z * z) + np.float32(1e-9)
    normals[v, 0] = x / length
    normals[v, 1] = y / length
    normals[v, 2] = z / length
  return normals


@numba.njit(nogil=True, cache=True)
def z_buffer(seen, triangles, materials, extras, strands, teeth, size):
  """Which triangle each pixel sees, -1 for none, and where in it.

  Hair is cut out by its strands, teeth by their outlines; lashes let every
  other pixel through or more.
  """
  depth = np.full((size, size), np.float32(-1e9))
  owner = np.full((size, size), np.int32(-1))
  inside = np.zeros((size, size, 2), np.float32)
  for t in range(len(triangles)):
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    material = materials[t]
    x0, y0 = seen[a, 0], seen[a, 1]
    x1, y1 = seen[b, 0], seen[b, 1]
    x2, y2 = seen[c, 0], seen[c, 1]
    area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
    if abs(area) < 1e-9:
      continue
    # y grows downwards, so a triangle that faces the camera is negative here.
    if area > 0 and (material == SKIN or material == HAIR):
      continue
    ux, uy = (y1 - y2) / area, (x2 - x1) / area
    vx, vy = (y2 - y0) / area, (x0 - x2) / area
    left = max(0, int(np.ceil(min(x0, x1, x2))))
    right = min(size - 1, int(np.floor(max(x0, x1, x2))))
    top = max(0, int(np.ceil(min(y0, y1, y2))))
    bottom = min(size - 1, int(np.floor(max(y0, y1, y2))))
    for y in range(top, bottom + 1):
      for x in range(left, right + 1):
        u = ux * (x - x2) + uy * (y - y2)
        v = vx * (x - x2) + vy * (y - y2)
        w = 1 - u - v
        if u < -1e-4 or v < -1e-4 or w < -1e-4:
          continue
        z = u * seen[a, 2] + v * seen[b, 2] + w * seen[c, 2]
        if z <= depth[y, x]:
          continue
        if material == LASHES and (
          (x + y) % 2 or (extras[a, 0] == 0 and x % 2)
        ):
          continue
        if material == TEETH:
          column = u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0]
          row = u * extras[a, 1] + v * extras[b, 1] + w * extras[c, 1]
          if cover_at(teeth, column, row) < 0.5:
            continue
        if material == HAIR or material == LONG_HAIR:
          cover = u * extras[a, 0] + v * extras[b, 0] + w * extras[c, 0]
          if cover < 1:
            around = u * extras[a, 1] + v * extras[b, 1] + w * extras[c, 1]
            out = u * extras[a, 2] + v * extras[b, 2] + w * extras[c, 2]
            if cover < 0.15 + 0.7 * strand_at(strands, around, out):
              continue
        depth[y, x] = z
        owner[y, x] = t
        inside[y, x, 0] = u
        inside[y, x, 1] = v
  return owner, inside


@numba.njit(nogil=True, cache=True)
def cover_at(texture, column, row):
  """The last channel there, bilinear; the place is a share of the texture."""
  rows, columns, channels = texture.shape
  x = min(max(column * columns - 0.5, 0.0), columns - 1.001)
  y = min(max(row * rows - 0.5, 0.0), rows - 1.001)
  j, i = int(x), int(y)
  along, down = x - j, y - i
  last = channels - 1
  upper = texture[i, j, last] * (1 - along) + texture[i, j + 1, last] * along
  lower = texture[i + 1, j, last] * (1 - along)
  lower += texture[i + 1, j + 1, last] * along
  return upper * (1 - down) + lower * down


@numba.njit(nogil=True, cache=True)
def strand_at(strands, around, out):
  """The brightness of the hair there, 0 to 1; both axes wrap."""
  rows, columns = strands.shape
  column, row = around * columns, out * rows
  j, i = int(np.floor(column)), int(np.floor(row))
  along, down = column - j, row - i
  upper = strands[i % rows, j % columns] * (1 - along)
  upper += strands[i % rows, (j + 1) % columns] * along
  lower = strands[(i + 1) % rows, j % columns] * (1 - along)
  lower += strands[(i + 1) % rows, (j + 1) % columns] * along
  return upper * (1 - down) + lower * down

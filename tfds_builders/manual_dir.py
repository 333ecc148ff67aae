"""Finds the files that users copied to a dataset's `manual_dir`."""

from collections.abc import Collection, Hashable, Mapping, MutableMapping

from etils import epath

from cmm_jax.preprocess import action_units, table


def find_child(folder: epath.Path, name: str) -> epath.Path:
  """A folder's child of this name in any case; it may not exist."""
  matches = [
    path for path in folder.iterdir() if path.name.lower() == name.lower()
  ]
  return min(matches, default=folder / name)


def list_files(folder: epath.Path) -> list[epath.Path]:
  """All files below a folder by name; none if the folder does not exist."""
  files = []
  if folder.exists():
    for path in sorted(folder.iterdir()):
      if not is_ignored(path):
        files += list_files(path) if path.is_dir() else [path]
  return files


def is_ignored(path: epath.Path) -> bool:
  """Whether a file or a folder is hidden or a leftover of macOS."""
  return path.name.startswith((".", "__MACOSX"))


def add_unique(
  paths: MutableMapping[Hashable, epath.Path], key: Hashable, path: epath.Path
) -> None:
  """Adds a path under a key.

  Raises:
    ValueError: the key has another path.
  """
  other = paths.setdefault(key, path)
  if other != path:
    raise ValueError(
      f"There are two copies of {path.name!r}, {str(other)!r} and "
      f"{str(path)!r}: remove one."
    )


def read_segments(
  file: epath.Path, names: Collection[str], key: str = "clip"
) -> dict[str, tuple[tuple[int, int], ...]]:
  """Reads manually chosen segments; there are none if the file does not exist.

  Args:
    file: a CSV with the columns `<key>,start,end`.
    names: the known clips or subjects.
    key: "clip" or "subject".

  Raises:
    ValueError: the file is not such a table, or names an unknown clip.
  """
  if not file.exists():
    return {}
  segments = table.read_segments(file, key)
  for name in segments:
    if name not in names:
      raise ValueError(
        f"{str(file)!r} names the unknown {key} {name!r}; there are "
        f"{', '.join(sorted(names)[:5])} and others."
      )
  return segments


def find_openface_tables(
  folder: epath.Path, videos: Mapping[str, str]
) -> dict[str, action_units.OpenFaceTable]:
  """Finds OpenFace's tables of videos, `<video>.csv`, in any case.

  Args:
    folder: contains tables at any depth; need not exist.
    videos: key of a video -> its file name without the suffix, preceded by the
      folder's name and a slash if that is needed to tell videos apart.

  Raises:
    FileNotFoundError: there are tables, but none is called like a video.
    ValueError: a table is called like several videos, or a video has two.
  """
  tables = [
    file for file in list_files(folder) if file.suffix.lower() == ".csv"
  ]
  matched = {}
  for file in tables:
    stem = file.stem.lower()
    with_folder = f"{file.parent.name.lower()}/{stem}"
    keys = [key for key, name in videos.items() if name.lower() == with_folder]
    keys = keys or [
      key for key, name in videos.items() if name.lower().split("/")[-1] == stem
    ]
    if keys[1:] or (keys and keys[0] in matched):
      raise ValueError(
        f"The table {str(file)!r} fits {' and '.join(keys)}, or another table "
        "fits as well: name tables <label>/<video>.csv."
      )
    if keys:
      matched[keys[0]] = action_units.OpenFaceTable(file)
  if tables and not matched:
    raise FileNotFoundError(
      f"None of the {len(tables)} tables in {str(folder)!r} is called like a "
      f"video, {tables[0].name!r} for example: name them <video>.csv."
    )
  return matched

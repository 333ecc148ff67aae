"""Which files belong to a dataset: a fingerprint of each, made with it.

Array records have checksums of what is in them. The fingerprints notice a file
of another dataset or of another split, and changed names of labels.
"""

import hashlib
import json

from etils import epath

from cmm_jax import atomic

_NAME = "fingerprints.json"
_PART = 2**20  # bytes at either end of a file


def write(folder: epath.Path) -> None:
  """Writes the fingerprints of a dataset that has just been built.

  Args:
    folder: the dataset's version, with its array records.
  """
  found = {file.name: _fingerprint(file) for file in _files(folder)}
  atomic.write_atomically(folder / _NAME, json.dumps(found, indent=1) + "\n")


def check(folder: epath.Path) -> None:
  """Checks that all files are those that were built.

  Datasets of earlier versions of this package have no fingerprints, and are not
  checked.

  Args:
    folder: the dataset's version.

  Raises:
    ValueError: a file is missing, new, or another one.
  """
  if not (folder / _NAME).exists():
    return
  try:
    built = dict(json.loads((folder / _NAME).read_text()))
  except (ValueError, TypeError) as error:
    raise ValueError(f"{_NAME} is no table of fingerprints") from error
  found = {file.name: _fingerprint(file) for file in _files(folder)}
  for name in sorted(built | found):
    if built.get(name) != found.get(name):
      raise ValueError(f"{name} is not the file that was built")


def _files(folder):
  hidden = (".", _NAME)
  return sorted(
    file
    for file in folder.iterdir()
    if not file.name.startswith(hidden) and file.is_file()
  )


def _fingerprint(file):
  """SHA-256 of a file's size, its beginning and its end."""
  size = file.stat().length
  with file.open("rb") as opened:
    digest = hashlib.sha256(str(size).encode() + opened.read(_PART))
    opened.seek(max(0, size - _PART))
    digest.update(opened.read(_PART))
  return digest.hexdigest()

"""Atomic file writes: a file appears under its name only when it is complete.

A full disk or a killed process leaves the previous file as it was.
"""

import contextlib
import secrets
from collections.abc import Iterator

from etils import epath


@contextlib.contextmanager
def atomic_path(path: epath.PathLike) -> Iterator[epath.Path]:
  """Yields a temporary path that replaces `path` when the block succeeds.

  The temporary file lies beside `path`, has the same suffix, and is deleted if
  the block raises. Missing parent folders are created. Cloud paths (`gs://`)
  are supported.

  Args:
    path: the file to write.

  Raises:
    IsADirectoryError: `path` is a folder.
    OSError: the file cannot be written; the previous file is kept.
  """
  path = epath.Path(path)
  if path.is_dir():
    raise IsADirectoryError(
      f"{str(path)!r} is a folder: give the name of a file to write."
    )
  path.parent.mkdir(parents=True, exist_ok=True)
  # Random, because several processes may write the same file.
  token = secrets.token_hex(4)
  partial = path.with_name(f".{path.stem}.{token}.partial{path.suffix}")
  try:
    yield partial
    partial.replace(path)
  except OSError as error:
    reason = error.strerror or str(error)
    raise OSError(
      error.errno,
      f"Cannot write the file ({reason}); the previous one, if any, is kept. "
      "Free some space or write to another folder",
      str(path),
    ) from error
  finally:
    partial.unlink(missing_ok=True)


def write_atomically(path: epath.PathLike, content: str | bytes) -> None:
  """Writes text (as UTF-8) or bytes to a file, completely or not at all.

  Args:
    path: the file to write.
    content: its content.

  Raises:
    IsADirectoryError, OSError: as for `atomic_path`.
  """
  with atomic_path(path) as partial:
    partial.write_bytes(
      content.encode() if isinstance(content, str) else content
    )

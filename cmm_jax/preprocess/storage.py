"""Videos on cloud storage."""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from etils import epath


@contextlib.contextmanager
def local_copy(path: epath.PathLike) -> Iterator[pathlib.Path]:
  """A path on a local disk for FFmpeg, which cannot read from cloud storage.

  Args:
    path: a video file or a folder of frames. If it is local, it is not copied.
  """
  if "://" not in str(path):
    yield pathlib.Path(path)
    return
  with tempfile.TemporaryDirectory() as folder:
    remote = epath.Path(path)
    local = pathlib.Path(folder) / remote.name
    if remote.is_dir():
      local.mkdir()
      for file in remote.iterdir():
        (local / file.name).write_bytes(file.read_bytes())
    else:
      local.write_bytes(remote.read_bytes())
    yield local

"""One command at a time writes to a folder."""

import contextlib
import fcntl
import os
import pathlib
import socket
import sys
from collections.abc import Iterator

_NAME = ".in_use"


class FolderInUseError(ValueError):
  """Another process writes to the folder."""


@contextlib.contextmanager
def hold(folder: str | os.PathLike) -> Iterator[None]:
  """Within the block no other process can hold the folder.

  The system releases the lock when the process ends, however it ends; the file
  that then stays behind is no obstacle. Folders on cloud storage, and on file
  systems without locks, are not locked.

  Args:
    folder: is created if it does not exist.

  Raises:
    FolderInUseError: another process holds it; names the process.
    OSError: the folder cannot be written.
  """
  if "://" in str(folder):
    yield
    return
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  with (folder / _NAME).open("a+") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      holder = file.read(200).strip() or "another process"
      raise FolderInUseError(
        f"{str(folder)!r} is in use by {holder}: wait until it ends, or name "
        "another folder."
      ) from None
    except OSError:  # no locks on this file system
      yield
      return
    file.truncate(0)
    command = pathlib.Path(sys.argv[0]).stem or "python"
    file.write(f"process {os.getpid()} on {socket.gethostname()} ({command})")
    file.flush()
    yield


def was_held(folder: str | os.PathLike) -> bool:
  """Whether a process holds the folder, or has held it."""
  return (pathlib.Path(folder) / _NAME).is_file()

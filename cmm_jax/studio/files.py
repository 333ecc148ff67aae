"""Files that visitors may fetch, each under an address that nobody can guess.

Only what has been added is served: no path is ever made from an address.
"""

import contextlib
import pathlib
import secrets
import shutil
import tempfile
import threading

from cmm_jax import folder_lock

ADDRESS = "/files/"
_PREFIX = "cmm_jax_studio_"


class Files:
  """A private folder, and the addresses of the files in it.

  The folder and everything in it is deleted by `close`, and at the latest when
  the process ends. If the process is killed, the next one deletes it.
  """

  def __init__(self):
    _delete_abandoned()
    self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    self._in_use = contextlib.ExitStack()
    self._in_use.enter_context(folder_lock.hold(self._folder.name))
    self._files: dict[tuple[str, str], pathlib.Path] = {}
    self._tokens: dict[tuple[pathlib.Path, str], str] = {}
    self._lock = threading.Lock()

  @property
  def root(self) -> pathlib.Path:
    """The private folder."""
    return pathlib.Path(self._folder.name)

  def make_folder(self) -> pathlib.Path:
    """A new folder, whose name nobody can guess."""
    folder = self.root / secrets.token_urlsafe(16)
    folder.mkdir()
    return folder

  def add(self, path: pathlib.Path, name: str | None = None) -> str:
    """Serves a file from now on; the same file always at the same address.

    Args:
      path: the file.
      name: that a download gets; by default the path's.

    Returns:
      Its address.
    """
    name = path.name if name is None else name
    with self._lock:
      token = self._tokens.setdefault((path, name), secrets.token_urlsafe(16))
      self._files[token, name] = path
    return f"{ADDRESS.removeprefix('/')}{token}/{name}"

  def find(self, address: str) -> pathlib.Path | None:
    """The file at an address, or None."""
    token, _, name = address.removeprefix(ADDRESS).partition("/")
    with self._lock:
      path = self._files.get((token, name))
    return path if path is not None and path.is_file() else None

  def remove(self, folder: pathlib.Path) -> None:
    """Deletes a folder that `make_folder` made, and serves no file of it."""
    if folder.parent != self.root:
      raise ValueError(f"{folder} is no folder of {self.root}.")
    with self._lock:
      inside = [k for k, p in self._files.items() if folder in p.parents]
      for key in inside:
        path = self._files.pop(key)
        self._tokens.pop((path, key[1]), None)
    for path in folder.iterdir() if folder.exists() else ():
      path.unlink()
    if folder.exists():
      folder.rmdir()

  def close(self) -> None:
    """Deletes everything."""
    with self._lock:
      self._files.clear()
      self._tokens.clear()
    self._in_use.close()
    self._folder.cleanup()


def _delete_abandoned():
  """Deletes the folders of processes that were killed."""
  for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
    with contextlib.suppress(OSError, folder_lock.FolderInUseError):
      if folder_lock.was_held(folder):
        with folder_lock.hold(folder):
          shutil.rmtree(folder)

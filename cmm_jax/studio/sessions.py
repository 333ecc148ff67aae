"""What the studio keeps of each visitor, apart from all others."""

import dataclasses
import itertools
import pathlib
import threading
import time

from cmm_jax.inference import AlignedFace
from cmm_jax.studio.files import Files
from cmm_jax.studio.worker import Job

_IDLE_SECONDS = 3600


@dataclasses.dataclass(eq=False)
class Session:
  """One visitor's page.

  Attributes:
    faces: of his photo, from the left.
    chosen: the index of the face that is to smile.
    folders: tab -> the folders in which its files lie.
    jobs: tab -> the job that it started last.
    used: when, in seconds of the monotonic clock.
  """

  faces: list[AlignedFace] = dataclasses.field(default_factory=list)
  chosen: int = 0
  folders: dict[str, list[pathlib.Path]] = dataclasses.field(
    default_factory=dict
  )
  jobs: dict[str, Job] = dataclasses.field(default_factory=dict)
  used: float = 0.0


class Sessions:
  """The visitors by the key that Gradio gives each page that is opened."""

  def __init__(self, files: Files):
    self._files = files
    self._sessions: dict[str, Session] = {}
    self._lock = threading.Lock()

  def get(self, key: str) -> Session:
    """A visitor's session, new if he has none; ends those long unused."""
    now = time.monotonic()
    with self._lock:
      session = self._sessions.setdefault(key, Session())
      session.used = now
      idle = [
        key
        for key, other in self._sessions.items()
        if now - other.used > _IDLE_SECONDS
      ]
    for key in idle:
      self.end(key)
    return session

  def end(self, key: str) -> None:
    """Cancels a visitor's jobs, forgets his photo and deletes his files."""
    with self._lock:
      session = self._sessions.pop(key, None)
    if session is None:
      return
    for job in session.jobs.values():
      job.cancel()
    for job in session.jobs.values():
      job.finished.wait(timeout=30)
    for folder in itertools.chain(*session.folders.values()):
      self._files.remove(folder)
    session.faces = []

  def __len__(self) -> int:
    return len(self._sessions)

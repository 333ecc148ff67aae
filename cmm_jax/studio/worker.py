"""One worker for all visitors: jobs wait in a queue and can be canceled.

Gradio's own queue shows neither a place that can be put into a sentence nor
can it let a quick preview pass somebody else's full-size videos.
"""

import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

PREVIEW, FULL_SIZE = range(2)  # priorities, the more urgent first
MAX_WAITING = 20

_LOG = logging.getLogger(__name__)


class CanceledError(Exception):
  """The job was canceled, by its visitor or because he left."""


class QueueFullError(Exception):
  """Too many people wait."""


@dataclasses.dataclass(frozen=True)
class Progress:
  """What a job does.

  Attributes:
    step: the name of the step.
    share: of the step that is done, 0 to 1.
    detail: in words, or "".
  """

  step: str = ""
  share: float = 0.0
  detail: str = ""


class Job:
  """A piece of work, which reports its progress.

  Attributes:
    priority: `PREVIEW` or `FULL_SIZE`, of what comes next.
    progress: what it does.
    result: whatever the work has published so far.
    version: counts everything that has changed.
    error: why it ended, if not well.
    finished: whether it has ended.
  """

  def __init__(self, work: Callable[["Job"], Iterator[None]], number: int):
    self._parts = work(self)
    self._canceled = threading.Event()
    self.number = number
    self.priority = PREVIEW
    self.progress = Progress()
    self.result: Any = None
    self.version = 0
    self.error: Exception | None = None
    self.finished = threading.Event()

  def report(self, step: str, share: float = 0.0, detail: str = "") -> None:
    """Says what the job does; called by the work, between any two frames.

    Raises:
      CanceledError: the job was canceled.
    """
    if self._canceled.is_set():
      raise CanceledError
    self.progress = Progress(step, share, detail)
    self.version += 1

  def publish(self, result: Any) -> None:
    """Shows a result."""
    self.result = result
    self.version += 1

  def cancel(self) -> None:
    """Stops the job at its next report."""
    self._canceled.set()

  @property
  def order(self) -> tuple[bool, int, int]:
    """Sorts jobs by urgency; canceled ones, which only have to end, first."""
    return not self._canceled.is_set(), self.priority, self.number

  def run_part(self) -> None:
    """Runs the work up to its next `yield`."""
    try:
      if self._canceled.is_set():
        raise CanceledError
      next(self._parts)
    except StopIteration:
      self._finish(None)
    except Exception as error:
      expected = CanceledError, ValueError, OSError
      if not isinstance(error, expected):
        _LOG.exception("A job failed")
      self._finish(error)

  def _finish(self, error):
    self._parts.close()
    self.error = error
    self.version += 1
    self.finished.set()


class Worker:
  """A thread that works on one job at a time.

  A job is a generator. At every `yield` the worker takes up the most urgent
  job; among equals, the one that came first.
  """

  def __init__(self):
    self._jobs: list[Job] = []
    self._changed = threading.Condition()
    self._numbers = itertools.count()
    self._closed = False
    self._thread = threading.Thread(
      target=self._run, name="studio worker", daemon=True
    )
    self._thread.start()

  def submit(self, work: Callable[[Job], Iterator[None]]) -> Job:
    """Queues a job.

    Args:
      work: takes the job, to report to, and yields between its parts.

    Raises:
      QueueFullError: `MAX_WAITING` jobs wait.
    """
    with self._changed:
      if len(self._jobs) >= MAX_WAITING:
        raise QueueFullError(
          f"{MAX_WAITING} people wait for their smiles; please try again in a "
          "few minutes."
        )
      job = Job(work, next(self._numbers))
      self._jobs.append(job)
      self._changed.notify()
    return job

  def place(self, job: Job) -> int:
    """The number of jobs that come before this one; 0 while it is worked on."""
    with self._changed:
      return sum(other.order < job.order for other in self._jobs)

  def close(self) -> None:
    """Cancels all jobs and stops the thread."""
    with self._changed:
      self._closed = True
      for job in self._jobs:
        job.cancel()
      self._changed.notify()
    self._thread.join()

  def _run(self):
    while True:
      with self._changed:
        while not self._jobs and not self._closed:
          self._changed.wait()
        if not self._jobs:
          return
        job = min(self._jobs, key=lambda job: job.order)
      job.run_part()
      if job.finished.is_set():
        with self._changed:
          self._jobs.remove(job)
      time.sleep(0)  # lets the server's thread answer

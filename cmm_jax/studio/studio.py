"""What all tabs share, and the tabs' common steps."""

import asyncio
import dataclasses
import functools
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator

import gradio as gr

from cmm_jax.studio.demonstration import Demonstration
from cmm_jax.studio.files import Files
from cmm_jax.studio.generators import Generators
from cmm_jax.studio.sessions import Session, Sessions
from cmm_jax.studio.worker import CanceledError, Job, QueueFullError, Worker

STATIC = pathlib.Path(__file__).parent / "static"

# HTML without Gradio's style, for studio.css to style.
own_html = functools.partial(gr.HTML, apply_default_css=False)

# Of every event: the page shows progress itself, and has no public API.
EVENT = {"show_progress": "hidden", "api_visibility": "private"}

_POLL_SECONDS = 0.15


@dataclasses.dataclass(frozen=True, eq=False)
class Studio:
  """What the tabs are built with.

  Attributes:
    generators: the trained models.
    worker: works on everybody's jobs.
    files: that are served.
    sessions: what is kept of each visitor.
    demonstration: the smiles that everybody sees first.
  """

  generators: Generators
  worker: Worker
  files: Files
  sessions: Sessions
  demonstration: Demonstration

  @classmethod
  def open(cls, generators: Generators) -> "Studio":
    """Opens a studio, which begins to load the generator."""
    worker, files = Worker(), Files()
    return cls(
      generators,
      worker,
      files,
      Sessions(files),
      Demonstration(generators, worker, files),
    )

  def start(
    self,
    session: Session,
    tab: str,
    work: Callable[[Job, pathlib.Path], Iterator[None]],
  ) -> Job:
    """Starts a tab's job, in the place of its last one.

    Args:
      session: whose job it is.
      tab: the last job that this tab started is canceled.
      work: takes the job and a folder for its files.

    Raises:
      worker.QueueFullError: too many people wait.
    """
    if tab in session.jobs:
      session.jobs[tab].cancel()
    old = session.folders.get(tab, [])
    folder = self.files.make_folder()

    def work_in_folder(job):
      for other in old:  # whose job has ended, as there is one worker
        self.files.remove(other)
      yield from work(job, folder)

    try:
      session.jobs[tab] = self.worker.submit(work_in_folder)
    except QueueFullError:
      self.files.remove(folder)
      raise
    session.folders[tab] = [*old, folder]
    return session.jobs[tab]

  async def follow(self, job: Job) -> AsyncIterator[int]:
    """Yields a job's place in the queue whenever something has changed."""
    seen = None
    while not job.finished.is_set():
      now = job.version, self.worker.place(job)
      if now != seen:
        seen = now
        yield now[1]
      await asyncio.sleep(_POLL_SECONDS)

  def close(self) -> None:
    """Cancels everything and deletes all files."""
    self.worker.close()
    self.files.close()


def why(error: Exception | None) -> str:
  """Why a job ended, in a sentence; "" if it ended well."""
  if error is None:
    return ""
  if isinstance(error, CanceledError):
    return "Stopped. What was finished can be downloaded."
  if isinstance(error, ValueError | OSError):
    return str(error).splitlines()[0]
  return (
    "Something went wrong that is not your photo's fault; please try again. "
    "The server's log says what it was."
  )

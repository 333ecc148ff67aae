"""TensorBoard's event files, written at once and in the calling thread.

tensorboardX's own writer has a thread, which a full disk ends: the training
would then wait for it forever.
"""

import os
import pathlib
import time

import numpy as np
from jaxtyping import Float


class EventFile:
  """Scalars and pictures of one start of a phase.

  Every method raises an OSError if the file cannot be written.
  """

  def __init__(self, folder: pathlib.Path, start: int):
    """Opens a file of its own in a folder.

    Args:
      folder: what TensorBoard shows as one run.
      start: the step that training starts from; TensorBoard hides what earlier
        files have of later steps.
    """
    from tensorboardX import event_file_writer, summary  # slow to import
    from tensorboardX.proto import event_pb2

    folder.mkdir(parents=True, exist_ok=True)
    self._summary, self._event = summary, event_pb2.Event
    # The name has the time in seconds: two starts in one second, or after the
    # clock was put back, would share a file.
    self._writer = event_file_writer.EventsWriter(
      str(folder / "events"), f".{start}.{os.getpid()}"
    )
    log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._write(start + 1, session_log=log)

  def add_scalar(self, name: str, value: float, step: int) -> None:
    """Adds a number."""
    self._write(step, summary=self._summary.scalar(name, value))

  def add_image(
    self, name: str, image: Float[np.ndarray, "h w c"], step: int
  ) -> None:
    """Adds a picture in [0, 1]."""
    made = self._summary.image(name, image, dataformats="HWC")
    self._write(step, summary=made)

  def flush(self) -> None:
    """Writes what is buffered."""
    self._writer.flush()

  def close(self) -> None:
    """Writes what is buffered and closes the file."""
    self._writer.close()

  def _write(self, step, **content):
    self._writer.write_event(
      self._event(step=step, wall_time=time.time(), **content)
    )

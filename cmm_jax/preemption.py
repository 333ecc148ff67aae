"""SIGTERM, with which clusters announce that they take a machine back.

The step under way is finished and saved, and the process exits with a code that
asks for a restart; the same command then resumes at that very step.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

# EX_TEMPFAIL of sysexits.h: try again. Schedulers restart on any code but 0.
EXIT_CODE = 75

# Clusters kill some 30 s after SIGTERM. A program that is being compiled cannot
# be interrupted; nothing new is lost then, for the last checkpoint stands.
_GRACE_SECONDS = 20.0

_requested = threading.Event()


class PreemptedError(Exception):
  """Training stopped, with all of its steps saved, because of SIGTERM."""


def requested() -> bool:
  """Whether SIGTERM has arrived."""
  return _requested.is_set()


@contextlib.contextmanager
def watch() -> Iterator[None]:
  """Within the block SIGTERM sets `requested` instead of ending the process.

  Unless the process ends by itself within 20 s after it, it is ended. Only for
  the main thread.
  """
  _requested.clear()
  done = threading.Event()
  # Python runs a handler between two instructions of the main thread, which may
  # wait for a compilation; the signal's number is written to a pipe at once.
  reader, writer = os.pipe()
  os.set_blocking(writer, False)

  def wait():
    while not done.is_set():
      (number,) = os.read(reader, 1)
      if number != signal.SIGTERM:
        continue
      _requested.set()
      if not done.wait(_GRACE_SECONDS):
        print(
          "SIGTERM: no step ended in time; the last checkpoint stands, and the "
          "same command resumes from it.",
          file=sys.stderr,
          flush=True,
        )
        os._exit(EXIT_CODE)

  thread = threading.Thread(target=wait, daemon=True, name="preemption")
  thread.start()
  handler = signal.signal(signal.SIGTERM, lambda *_: None)
  wakeup = signal.set_wakeup_fd(writer)
  try:
    yield
  finally:
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGTERM, handler)
    done.set()
    os.write(writer, b"\0")
    thread.join()
    os.close(reader)
    os.close(writer)

"""Beam's portable protocol on this machine: a job service and a worker pool."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import portpicker

ROOT = pathlib.Path(__file__).parents[1]
_SERVICE = "apache_beam.runners.portability.local_job_service_main"
_POOL = "apache_beam.runners.worker.worker_pool_main"


@contextlib.contextmanager
def start(folder: pathlib.Path) -> Iterator[list[str]]:
  """Starts both; the pool starts one worker, a process, for a job.

  Args:
    folder: for their logs.

  Yields:
    The pipeline options of a job on them.
  """
  job_port, pool_port = (portpicker.pick_unused_port() for _ in range(2))
  with contextlib.ExitStack() as stack:
    for module, flag, port in (
      (_SERVICE, "--port", job_port),
      (_POOL, "--service_port", pool_port),
    ):
      log = stack.enter_context((folder / f"{port}.log").open("w"))
      process = subprocess.Popen(
        [sys.executable, "-m", module, flag, str(port)],
        cwd=folder,
        env=_environment(),
        stdout=log,
        stderr=subprocess.STDOUT,
      )
      stack.callback(process.wait)
      stack.callback(process.terminate)
    for port in (job_port, pool_port):
      _wait_for(port, folder / f"{port}.log")
    yield [
      "--runner=PortableRunner",
      f"--job_endpoint=localhost:{job_port}",
      "--environment_type=EXTERNAL",
      f"--environment_config=localhost:{pool_port}",
    ]


def _environment():
  """The pool starts its workers with the `python` that it finds."""
  programs = pathlib.Path(sys.executable).parent
  return os.environ | {
    "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
  }


def _wait_for(port, log, seconds=120):
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    try:
      socket.create_connection(("localhost", port), timeout=1).close()
      return
    except OSError:
      time.sleep(0.2)
  raise TimeoutError(f"Nothing listens on {port}:\n{log.read_text()}")

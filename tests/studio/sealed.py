"""A studio in a process of its own that may talk to nobody."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]

# Runs the studio, and refuses and notes every connection and every look-up of a
# name that is not this computer.
SEALED = """
import runpy, sys
log = sys.argv.pop(1)
def watch(event, args):
  if event == "socket.connect":
    host = args[1][0] if isinstance(args[1], tuple) else None
  elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
    host = args[0]
  else:
    return
  if host not in ("127.0.0.1", "::1", "localhost", None):
    with open(log, "a") as file:
      print(event, host, file=file)
    raise OSError("refused by the test")
sys.addaudithook(watch)
runpy.run_module("cmm_jax.studio", run_name="__main__")
"""


class Served:
  """A studio in a process of its own."""

  def __init__(self, address, process, refused, temporary):
    self.address = address
    self.process = process
    self._refused = refused
    self.temporary = temporary

  def refused(self) -> str:
    """What the process tried to connect to and was not allowed to."""
    return self._refused.read_text() if self._refused.exists() else ""


@contextlib.contextmanager
def serving(folder: pathlib.Path) -> Iterator[Served]:
  """Serves from a folder, which another studio may have served from before."""
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  refused, temporary = folder / "refused.txt", folder / "temporary"
  temporary.mkdir(exist_ok=True)
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
  environment |= {
    "TMPDIR": str(temporary),
    "XDG_CACHE_HOME": str(folder / "cache"),
    "PYTHONPATH": str(ROOT),
  }
  with (folder / "log.txt").open("w") as log:
    process = subprocess.Popen(
      [
        *(sys.executable, "-c", SEALED, str(refused)),
        *(f"--port={port}", f"--runs={folder}/runs"),
      ],
      cwd=folder,
      env=environment,
      stdout=log,
      stderr=subprocess.STDOUT,
    )
  address = f"http://127.0.0.1:{port}/"
  try:
    for _ in range(900):
      with contextlib.suppress(OSError), urllib.request.urlopen(address):
        break
      assert process.poll() is None, (folder / "log.txt").read_text()
      time.sleep(0.1)
    yield Served(address, process, refused, temporary)
  finally:
    process.terminate()
    process.wait(timeout=60)

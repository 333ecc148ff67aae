"""Commands run with sockets that refuse all machines but their own."""

import pathlib
import shutil
import sys

from faults import table
from faults.bench import Bench

# Put before a command: addresses of this machine remain, for processes that
# talk to each other and for servers.
_REFUSE = """
import runpy, socket, sys

log = open(sys.argv[1], "a")
HERE = (None, "", "127.0.0.1", "::1", "localhost", "0.0.0.0")

def report(*what):
  print(*what, file=log, flush=True)
  raise OSError("the network is refused")

def refuse(name):
  real = getattr(socket.socket, name)
  def checked(self, *arguments):
    address = arguments[-1]
    if isinstance(address, tuple) and address[0] not in HERE:
      report(name, address)
    return real(self, *arguments)
  return checked

def look_up(host, *arguments, real=socket.getaddrinfo, **options):
  if host not in HERE:
    report("getaddrinfo", host)
  return real(host, *arguments, **options)

for name in ("connect", "connect_ex", "sendto"):
  setattr(socket.socket, name, refuse(name))
socket.getaddrinfo = look_up
module = sys.argv[2]
sys.argv = [module, *sys.argv[3:]]
sys.path.insert(0, "")
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command(log: pathlib.Path, module: str, *arguments: str) -> list[str]:
  """The command line of a module that may not use the network.

  Args:
    log: the file that gets a line for each attempt.
    module: of the command.
    *arguments: its flags.
  """
  return [sys.executable, "-c", _REFUSE, str(log), module, *arguments]


def commands(bench: Bench) -> table.Row:
  """Runs the commands on a trained run, all of them offline."""
  workdir, out = bench.folder / "offline_run", bench.folder / "offline"
  log = out.with_suffix(".log")
  shutil.rmtree(workdir, ignore_errors=True)
  shutil.copytree(bench.folder / "unbroken", workdir)
  photo = "--image=cmm_jax/examples/mona_lisa.jpg"
  attempts = {
    "generate": ("cmm_jax.generate", photo, f"--out={out / 'smiles'}"),
    "generate from the run": (
      *("cmm_jax.generate", photo, f"--out={out / 'own'}"),
      f"--workdir={workdir}",
    ),
    "train": (
      *("cmm_jax.main", "--config=configs/smoke.py"),
      *("--config.data.name=miniature", f"--config.workdir={out / 'run'}"),
      f"--config.data.data_dir={bench.folder / 'data'}",
    ),
    "evaluate": ("cmm_jax.evaluate", f"--workdir={workdir}"),
    "report": ("cmm_jax.report", f"--workdir={workdir}"),
    "export": (
      *("cmm_jax.export", f"--workdir={workdir}"),
      f"--out={out / 'smiles.safetensors'}",
    ),
    "preprocess": (
      *("cmm_jax.preprocess", f"--out={out / 'clips'}", "--segment=whole"),
      f"--video={out / 'own' / 'mona_lisa' / 'posed' / 'mode_1.mp4'}",
    ),
    "study prepare": (
      *("cmm_jax.user_study", "prepare", f"--workdir={out}", "--pairs=2"),
      *("--comparison=cmm_net:static",),
      f"--videos={workdir / 'evaluation' / 'videos'}",
    ),
  }

  def attempt(name):
    log.write_text("")
    done = bench.run(command(log, *attempts[name]))
    tried = log.read_text()
    assert not tried, tried.splitlines()[0]
    assert done.returncode == 0, done.stderr[-500:]

  return bench.tries("commands without a network", attempts, attempt)

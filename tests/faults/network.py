"""Commands run with sockets that refuse all machines but their own."""

import pathlib
import sys
from collections.abc import Callable, Sequence

from faults import table

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


def commands(
  run: Callable[[Sequence[str]], object], workdir: pathlib.Path
) -> table.Row:
  """Runs the commands on a trained run, all of them offline.

  Args:
    run: runs a command line in the project's folder; returns what
      `subprocess.run` does.
    workdir: of a run of the smallest config; is written to.
  """
  out = workdir.parent / "offline"
  log = out.with_suffix(".log")
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
      f"--config.data.data_dir={workdir.parent / 'data'}",
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
  lost = []
  for name, (module, *arguments) in attempts.items():
    done = run(command(log, module, *arguments))
    tried = log.read_text() if log.exists() else ""
    if tried:
      lost.append(f"{name}: {tried.splitlines()[0]}")
      log.unlink()
    elif done.returncode:
      lost.append(f"{name} ended with {done.returncode}: {done.stderr[-500:]}")
  return table.Row(
    "commands without a network",
    len(attempts),
    len(attempts) - len(lost),
    len(lost),
    details=tuple(lost),
  )

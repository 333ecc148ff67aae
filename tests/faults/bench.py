"""Trainings in processes of their own, and what they should end with.

All of it runs `python -m cmm_jax.main` on the smallest config.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from faults import table

PHASES = ("vae", "conditional", "modes", "translator", "regressors")
_PATIENCE = 900  # seconds for one command on a busy machine

# A command, with a signal some time after training has begun. In saves and
# renames, too: a step and what follows take milliseconds at this size.
_COMMAND = """
import os, random, signal, sys, threading, time
from absl import app
from cmm_jax import main, monitor

number, delay, clock = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
del sys.argv[1:4]
enter = monitor.Monitor.__enter__
begun = []

def begins(self):
  if number and not begun:
    begun.append(self)
    threading.Timer(delay, os.kill, (os.getpid(), number)).start()
  return enter(self)

monitor.Monitor.__enter__ = begins
if clock:
  real, jumps, last = time.time, random.Random(clock), [0.0, 0.0]
  def jumping():
    if time.monotonic() > last[0]:
      last[:] = (
        time.monotonic() + jumps.expovariate(0.5),
        jumps.choice((-1e8, -3600, 0, 3600, 1e8)),
      )
    return real() + last[1]
  time.time = jumping
app.run(main.main, flags_parser=main.parse_flags)
"""


class Bench:
  """A small dataset, compiled programs, and a training that nothing befalls.

  Attributes:
    folder: of all of it.
    expected: phase -> step and checksums of an unbroken training.
    memory: the largest resident set of a command since `tries` began, in bytes.
  """

  def __init__(self, folder: pathlib.Path):
    """Builds the dataset, trains, and notes the weights."""
    import miniature

    self.folder, self.memory = folder, 0
    miniature.Miniature(data_dir=folder / "data").download_and_prepare()
    workdir = folder / "unbroken"
    done = self.train(workdir)
    assert done.returncode == 0, done.stderr
    self.expected = weights_of(workdir)

  def train(
    self,
    workdir: pathlib.Path,
    *,
    number: int = 0,
    delay: float = 0.0,
    clock: int = 0,
    dataset: str = "miniature",
    models: str = "cmm_net",
  ) -> subprocess.CompletedProcess:
    """Runs the command.

    Args:
      workdir: the run's folder.
      number: of a signal that it is sent.
      delay: how many seconds after training has begun.
      clock: seed of jumps of the clock; 0 for none.
      dataset: its name.
      models: those to train.
    """
    import miniature

    config = miniature.config(self.folder / "data", workdir)
    arguments = [
      "--config=configs/smoke.py",
      f"--config.data.name={dataset}",
      f"--config.train.model={models}",
      f"--config.data.data_dir={self.folder / 'data'}",
      f"--config.workdir={workdir}",
      "--config.train.log_every_steps=1",
      "--config.train.picture_every_steps=2",
      "--config.train.checkpoint_every_steps=1",
      *(
        f"--config.phases.{name}.epochs={config.phases[name].epochs}"
        for name in config.phases
      ),
    ]
    numbers = [str(number), str(delay), str(clock)]
    return self.run([sys.executable, "-c", _COMMAND, *numbers, *arguments])

  def run(self, command: list[str]) -> subprocess.CompletedProcess:
    """Runs a command in the project's folder, and notes its memory."""
    changes = {
      "JAX_PLATFORMS": "cpu",
      "JAX_COMPILATION_CACHE_DIR": str(self.folder / "xla"),
      "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
      "PYTHONPATH": f"{table.ROOT}:{table.ROOT / 'tests'}",
    }
    environment = os.environ | changes
    # Compile time, as in conftest.py.
    environment["XLA_FLAGS"] = (
      "--xla_cpu_use_fusion_emitters=false "
      "--xla_cpu_parallel_codegen_split_count=1"
    )
    with (
      tempfile.TemporaryFile("w+") as out,
      tempfile.TemporaryFile("w+") as errors,
    ):
      process = subprocess.Popen(
        command, cwd=table.ROOT, env=environment, stdout=out, stderr=errors
      )
      deadline = time.monotonic() + _PATIENCE
      while time.monotonic() < deadline:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
          break
        time.sleep(0.05)
      else:
        process.kill()
        _, status, usage = os.wait4(process.pid, 0)
      process.returncode = os.waitstatus_to_exitcode(status)
      self.memory = max(self.memory, usage.ru_maxrss * 1024)
      out.seek(0)
      errors.seek(0)
      return subprocess.CompletedProcess(
        command, process.returncode, out.read(), errors.read()
      )

  def tries(
    self,
    kind: str,
    cases: Iterable[Any],
    attempt: Callable[[Any], object],
  ) -> table.Row:
    """`table.tries`, with the memory of the commands."""
    self.memory = 0
    row = table.tries(kind, cases, attempt)
    return dataclasses.replace(row, memory=self.memory)

  def expect_end(
    self, done: subprocess.CompletedProcess, workdir: pathlib.Path
  ) -> None:
    """Asserts that a training ended as the unbroken one."""
    assert done.returncode == 0, done.stderr[-800:]
    assert weights_of(workdir) == self.expected, "other weights"


def weights_of(workdir: pathlib.Path) -> dict[str, dict[str, object]]:
  """Phase -> what the last checkpoint's checksums say, once they are checked.

  The arrays themselves are read and compared with the checksums.
  """
  from cmm_jax import checkpoints

  found = {}
  for phase in PHASES:
    with checkpoints.Checkpoints(str(workdir), phase) as saved:
      step = saved.newest_step()
      if step is None or saved.restore()[0] != step:
        continue
      file = saved.folder / str(step) / "checksums" / "metadata"
      found[phase] = json.loads(file.read_text())
  return found


def expect_one_line(done: subprocess.CompletedProcess, words: str) -> None:
  """Asserts that a command failed with one message that holds the words."""
  assert done.returncode == 1, (done.returncode, done.stderr[-800:])
  assert "Traceback" not in done.stderr, done.stderr[-1500:]
  errors = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
  assert len(errors) == 1, done.stderr[-800:]
  assert words in errors[0], errors

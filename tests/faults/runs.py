"""Trainings that are killed, or that cannot write: the same command goes on.

All of it runs `python -m cmm_jax.main` on the smallest config, in processes of
their own. A training survives if it ends with the weights of one that nothing
happened to, bit for bit, and never prints a traceback.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

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
    memory: the largest resident set of a command so far, in bytes.
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


def kills(bench: Bench, count: int, number: int = signal.SIGKILL) -> table.Row:
  """Sends trainings a signal at random moments, `count` times in all."""
  name = signal.Signals(number).name
  moments = random.Random(int(number))
  sent, lost, slowest, start = 0, [], 0.0, bench.memory
  bench.memory = 0
  while sent < count:
    workdir = bench.folder / f"{name}_{sent}"
    in_this = 0
    while True:
      begin = time.monotonic()
      # The first starts are killed early, lest one training takes all signals.
      delay = moments.uniform(0, 1 + in_this)
      done = bench.train(
        workdir, number=number if sent < count else 0, delay=delay
      )
      slowest = max(slowest, time.monotonic() - begin)
      if "Traceback" in done.stderr:
        lost.append(f"{name}: {done.stderr[-800:]}")
      if done.returncode == 0:
        break
      if done.returncode not in (-number, 75):
        lost.append(
          f"{name} ended with {done.returncode}: {done.stderr[-800:]}"
        )
        break
      sent += 1
      in_this += 1
    if weights_of(workdir) != bench.expected:
      lost.append(f"other weights in {workdir}")
    else:
      shutil.rmtree(workdir)
  memory, bench.memory = bench.memory, max(start, bench.memory)
  return table.Row(
    f"{name} at a random moment of a training of five phases",
    sent,
    sent - len(lost),
    len(lost),
    memory,
    slowest,
    tuple(lost),
  )


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, kilobytes: int) -> Iterator[pathlib.Path]:
  """A file system of this size in memory; only root may mount it."""
  folder.mkdir(parents=True, exist_ok=True)
  _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
  try:
    yield folder
  finally:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments):
  subprocess.run(["mount", *arguments], check=True, capture_output=True)


def may_mount() -> bool:
  """Whether this process may mount file systems."""
  with tempfile.TemporaryDirectory() as folder:
    try:
      with small_disk(pathlib.Path(folder), 64):
        return True
    except (subprocess.CalledProcessError, FileNotFoundError):
      return False


def size_of(folder: pathlib.Path) -> int:
  """Of all files below a folder, in kilobytes of whole pages."""
  files = [file for file in folder.rglob("*") if file.is_file()]
  return sum(4 * (file.stat().st_size // 4096 + 1) for file in files)


def full_disks(bench: Bench, count: int) -> table.Row:
  """Trains on disks that are full sooner or later; then they are enlarged."""
  whole = size_of(bench.folder / "unbroken")
  sizes = [max(16, whole * (i + 1) // (count + 1)) for i in range(count)]
  return _tries(
    "disk full in a save, a log line or a picture of a training",
    bench,
    sizes,
    lambda size: _train_on_full_disk(bench, size),
  )


def _train_on_full_disk(bench, size):
  with small_disk(bench.folder / f"disk_{size}", size) as folder:
    done = bench.train(folder / "run")
    _expect_one_line(done, "space")
    _mount("-o", "remount,size=1g", str(folder))
    again = bench.train(folder / "run")
    assert again.returncode == 0, again.stderr[-800:]
    assert weights_of(folder / "run") == bench.expected, "other weights"


def read_only(bench: Bench) -> table.Row:
  """Trains in a folder that cannot be written, new and old."""

  def attempt(kind):
    with small_disk(bench.folder / f"read_only_{kind}", 10**6) as folder:
      if kind == "old":
        shutil.copytree(bench.folder / "unbroken", folder / "run")
        shutil.rmtree(folder / "run" / "checkpoints" / "regressors" / "3")
      _mount("-o", "remount,ro", str(folder))
      _expect_one_line(bench.train(folder / "run"), "ead-only")
      _mount("-o", "remount,rw", str(folder))
      again = bench.train(folder / "run")
      assert again.returncode == 0, again.stderr[-800:]
      assert weights_of(folder / "run") == bench.expected, "other weights"

  return _tries("read-only folder of a run", bench, ["new", "old"], attempt)


def clock_jumps(bench: Bench, count: int) -> table.Row:
  """Trains while Python's clock jumps by hours and years every 2 s or so.

  A jump in the middle of a save looks as if it had taken an hour. Then the
  command ends, and is started again.
  """

  def attempt(seed):
    workdir = bench.folder / f"clock_{seed}"
    for start in range(20):
      done = bench.train(workdir, clock=100 * seed + start)
      if done.returncode == 0:
        break
      _expect_one_line(done, "same command resumes")
    assert done.returncode == 0, done.stderr[-800:]
    assert weights_of(workdir) == bench.expected, "other weights"

  seeds = range(1, count + 1)
  return _tries("clock that jumps by hours and years", bench, seeds, attempt)


def odd_datasets(bench: Bench) -> table.Row:
  """Trains on constant frames, one person, one label, one clip, and NaN."""
  from faults import odd_datasets as odd

  def attempt(case):
    name, models, message = case
    builder = odd.ALL[name](data_dir=bench.folder / "data")
    builder.download_and_prepare()
    workdir = bench.folder / f"odd_{name}_{models}"
    done = bench.train(workdir, dataset=name, models=models)
    if message:
      _expect_one_line(done, message)
      assert _all_is_finite(workdir), "it was saved"
    else:
      assert done.returncode == 0, done.stderr[-800:]

  cases = [
    ("constant_frames", "cmm_net", ""),
    ("one_identity", "cmm_net", ""),
    ("one_label", "cmm_net", ""),
    ("one_label", "video_gan", "has none in its split for training"),
    ("one_clip", "cmm_net", "cannot be sampled from 1"),
    ("not_finite", "cmm_net", "Start again with a lower learning_rate"),
  ]
  return _tries(
    "training on constant frames, one person, label or clip, and NaN",
    bench,
    cases,
    attempt,
  )


def _all_is_finite(workdir):
  """Whether no checkpoint of the first phase holds NaN or an infinity."""
  import jax
  import numpy as np

  from cmm_jax import checkpoints

  if not (workdir / "checkpoints" / "vae").exists():
    return True
  with checkpoints.Checkpoints(str(workdir), "vae") as saved:
    found = saved.restore()
  return all(np.isfinite(x).all() for x in jax.tree.leaves(found))


def two_at_once(bench: Bench, count: int) -> table.Row:
  """Starts a second training in the workdir of one that runs."""
  import threading

  def attempt(number):
    workdir = bench.folder / f"both_{number}"
    ends = []

    def train():
      ends.append(bench.train(workdir))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    refused = [end for end in ends if end.returncode]
    assert not any("Traceback" in end.stderr for end in ends), ends
    for end in refused:
      _expect_one_line(end, "in use by process")
    assert weights_of(workdir) == bench.expected, "other weights"

  return _tries("two trainings at once", bench, range(count), attempt)


def _expect_one_line(done, words):
  """Asserts that a command failed with one message that holds the words."""
  assert done.returncode == 1, (done.returncode, done.stderr[-800:])
  assert "Traceback" not in done.stderr, done.stderr[-1500:]
  errors = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
  assert len(errors) == 1, done.stderr[-800:]
  assert words in errors[0], errors


def _tries(kind, bench, cases, attempt):
  lost, slowest, before = [], 0.0, bench.memory
  bench.memory = 0
  cases = list(cases)
  for case in cases:
    begin = time.monotonic()
    try:
      attempt(case)
    except AssertionError as error:
      lost.append(f"{case}: {error}")
    slowest = max(slowest, time.monotonic() - begin)
  memory, bench.memory = bench.memory, max(before, bench.memory)
  return table.Row(
    kind,
    len(cases),
    len(cases) - len(lost),
    len(lost),
    memory,
    slowest,
    tuple(lost),
  )

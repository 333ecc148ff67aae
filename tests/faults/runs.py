"""Trainings that are killed, or on odd data: the same command goes on.

A training survives if it ends with the weights of one that nothing happened to,
bit for bit, and never prints a traceback.
"""

import random
import shutil
import signal
import threading
import time

from faults import table
from faults.bench import Bench, expect_one_line, weights_of


def kills(bench: Bench, count: int, number: int = signal.SIGKILL) -> table.Row:
  """Sends trainings a signal at random moments, `count` times in all."""
  name = signal.Signals(number).name
  moments = random.Random(int(number))
  sent, lost, slowest, bench.memory = 0, [], 0.0, 0
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
  return table.Row(
    f"{name} at a random moment of a training of five phases",
    sent,
    sent - len(lost),
    len(lost),
    bench.memory,
    slowest,
    tuple(lost),
  )


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
      expect_one_line(done, "same command resumes")
    bench.expect_end(done, workdir)

  seeds = range(1, count + 1)
  return bench.tries("clock that jumps by hours and years", seeds, attempt)


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
      expect_one_line(done, message)
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
  return bench.tries(
    "training on constant frames, one person, label or clip, and NaN",
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
      expect_one_line(end, "in use by process")
    assert weights_of(workdir) == bench.expected, "other weights"

  return bench.tries("two trainings at once", range(count), attempt)

"""How a training is watched: progress bar, JSON lines, TensorBoard, profile."""

import contextlib
import json
import pathlib
import time
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tqdm

from cmm_jax import atomic, event_file

# The dispatches that a profile holds, counted from 1: none that compile.
_PROFILED = range(4, 9)


class Monitor:
  """Records one phase's training; a context manager.

  Scalars go to `<workdir>/metrics/<phase>.jsonl`, one line per logged step, and
  with the pictures to TensorBoard under `<workdir>/tensorboard/<phase>`. Lines
  of steps after `start`, left by a run that was killed, are dropped.

  With `profile`, some steps are traced to `<workdir>/profile/<phase>`, where
  TensorBoard's profile plug-in and xprof read them.
  """

  def __init__(
    self,
    workdir: str,
    phase: str,
    start: int,
    steps: int,
    *,
    profile: bool = False,
    writes: bool = True,
  ):
    """Opens the phase's files.

    Args:
      workdir: the run's folder.
      phase: the name of its checkpoints.
      start: the step that training starts from.
      steps: the phase's number of steps.
      profile: whether to trace some steps.
      writes: False in all processes but the first; they check losses alone.
    """
    self.phase = phase
    self._pending = []
    self._profile = pathlib.Path(workdir) / "profile" / phase
    self._tracing, self._to_trace = False, _PROFILED if profile else range(0)
    self._dispatches = 0
    self._since, self._clock = start, time.monotonic()
    self._bar = tqdm.tqdm(
      total=steps,
      initial=start,
      desc=f"{phase:>11}",
      unit="step",
      dynamic_ncols=True,
      mininterval=1.0,
      disable=not writes,
    )
    self._lines = self._board = None
    if writes:
      self._open(pathlib.Path(workdir), phase, start)

  def _open(self, workdir, phase, start):
    file = workdir / "metrics" / f"{phase}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
      json.dumps(record) + "\n"
      for record in read_records(workdir, phase)
      if record["step"] <= start
    ]
    atomic.write_atomically(file, "".join(lines))
    self._lines = file.open("a")
    self._board = event_file.EventFile(workdir / "tensorboard" / phase, start)

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if self._tracing:  # the steps ended before the profile
      jax.profiler.stop_trace()
    self._bar.close()
    if not self._lines:
      return
    for file in (self._lines, self._board):
      # A file that could not be written cannot be closed either.
      with contextlib.suppress(*([OSError] if kind else [])):
        file.close()

  def add(self, metrics: Mapping[str, jax.Array], count: int = 1) -> None:
    """Takes the means over `count` more steps, without waiting for them.

    Args:
      metrics: scalars by name, `loss` among them; `finite_steps`, if given, is
        how many of the steps had a finite loss before the first that had not.
      count: the number of steps.
    """
    self._pending.append((metrics, count))
    self._bar.update(count)
    self._dispatches += 1
    if self._dispatches + 1 in self._to_trace and not self._tracing:
      jax.profiler.start_trace(str(self._profile))
      self._tracing = True
    elif self._tracing and self._dispatches + 1 not in self._to_trace:
      jax.block_until_ready(metrics)
      jax.profiler.stop_trace()
      self._tracing = False

  def log(self, step: int) -> dict[str, float]:
    """Records the means over the steps since the last call.

    Raises:
      FloatingPointError: a loss among them is not finite.
    """
    pending = jax.device_get(self._pending)
    first = step - sum(count for _, count in pending)
    for metrics, count in pending:
      if not np.isfinite(metrics["loss"]):
        bad = first + 1 + int(metrics.get("finite_steps", 0))
        names = [n for n, v in metrics.items() if not np.isfinite(v)]
        raise FloatingPointError(
          f"The loss is {metrics['loss']} at step {bad} (not finite: "
          f"{', '.join(names)}). Start again with a lower learning_rate of "
          "this phase in another workdir, or look at the data."
        )
      first += count
    counts = [count for _, count in pending]
    record = {
      name: float(np.average([m[name] for m, _ in pending], weights=counts))
      for name in pending[0][0]
      if name != "finite_steps"
    }
    now = time.monotonic()
    rate = (step - self._since) / max(now - self._clock, 1e-9)
    self._pending, self._since, self._clock = [], step, now

    if not self._lines:
      return record
    line = {"step": step, "steps_per_second": rate, **record}
    with self._writing():
      self._lines.write(json.dumps(line) + "\n")
      self._lines.flush()
      for name, value in [*record.items(), ("steps_per_second", rate)]:
        self._board.add_scalar(name, value, step)
      self._board.flush()
    self._bar.set_postfix({"loss": f"{record['loss']:.4g}"})
    return record

  def show(self, step: int, pictures: Mapping[str, Any]) -> None:
    """Records pictures [rows columns h w channels] in [0, 1] as sheets."""
    for name, tiles in pictures.items():
      tiles = np.asarray(tiles, np.float32).clip(0, 1)
      rows, columns, height, width, channels = tiles.shape
      sheet = tiles.transpose(0, 2, 1, 3, 4)
      sheet = sheet.reshape(rows * height, columns * width, channels)
      with self._writing():
        self._board.add_image(name, sheet, step)
        self._board.flush()

  @contextlib.contextmanager
  def _writing(self):
    try:
      yield
    except OSError as error:
      raise OSError(
        error.errno,
        f"The logs of phase {self.phase} cannot be written ({error.strerror}); "
        "the last checkpoint stands. Free some space; the same command "
        "resumes from it",
        self._lines.name,
      ) from error


def read_records(
  workdir: str | pathlib.Path, phase: str
) -> list[dict[str, float]]:
  """The logged scalars of a phase, in order; empty where there are none."""
  file = pathlib.Path(workdir) / "metrics" / f"{phase}.jsonl"
  if not file.exists():
    return []
  records, damaged = [], []
  for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
    try:
      record = json.loads(line)
      if record["step"] < 0 or not isinstance(record["loss"], float):
        raise ValueError
      records.append(record)
    except (ValueError, TypeError, LookupError):
      damaged.append(number)
  if damaged[:-1]:  # the last line is empty, or a killed run wrote part of it
    warnings.warn(
      f"{file} has {len(damaged) - 1} damaged lines, the first of them line "
      f"{damaged[0]}; they are left out.",
      stacklevel=2,
    )
  return records

"""Reads from a training's profiles whether its steps wait for the host.

  python -m cmm_jax.main --config=configs/quick.py --config.train.profile=True
  python -m benchmarks.read_profile runs/quick

For the traced steps of each phase: the share of the time in which an XLA
program runs, and the longest pause between two programs. A batch that is not
ready, or a host that reads a result before it dispatches the next step, causes
a pause.
"""

import pathlib
import sys
from collections.abc import Iterable, Sequence

import jax
from absl import app

_ON_CPU = "ThunkExecutor::Execute (wait for completion)"
_ON_DEVICE = "XLA Modules"  # the accelerator's line of programs

Interval = tuple[float, float]


def main(argv: Sequence[str]) -> None:
  """Prints a row for each traced phase."""
  if len(argv) != 2:
    raise app.UsageError("Name one run's folder, such as runs/quick.")
  files = traces(pathlib.Path(argv[1]))
  if not files:
    sys.exit(
      f"error: no profile in {argv[1]}; train with --config.train.profile=True."
    )
  print("| phase | traced, s | program runs | longest pause, ms |")
  print("|---|---|---|---|")
  for phase, file in files.items():
    try:
      whole, running, pause = summary(programs(file))
    except ValueError as error:
      sys.exit(f"error: {file}: {error}; was it traced by this version of JAX?")
    print(f"| {phase} | {whole:.2f} | {running:.1%} | {1e3 * pause:.1f} |")


def traces(workdir: pathlib.Path) -> dict[str, pathlib.Path]:
  """The newest trace of each phase of a run."""
  folder = workdir / "profile"
  return {
    file.relative_to(folder).parts[0]: file
    for file in sorted(folder.glob("*/plugins/profile/*/*.xplane.pb"))
  }


def programs(file: pathlib.Path) -> list[Interval]:
  """The intervals in which programs ran, in seconds, on any device."""
  data = jax.profiler.ProfileData.from_file(str(file))
  found = {True: [], False: []}
  for plane in data.planes:
    on_device = plane.name.startswith("/device:")
    for line in plane.lines:
      for event in line.events:
        if line.name == _ON_DEVICE if on_device else event.name == _ON_CPU:
          interval = event.start_ns / 1e9, event.end_ns / 1e9
          found[on_device].append(interval)
  return found[True] or found[False]


def summary(intervals: Iterable[Interval]) -> tuple[float, float, float]:
  """Summarizes the intervals.

  Returns:
    Seconds from the first start to the last end, the share of them that
    intervals cover, and the seconds of the longest pause.

  Raises:
    ValueError: there are no intervals.
  """
  intervals = sorted(intervals)
  if not intervals:
    raise ValueError("the trace holds no XLA program")
  start, end = intervals[0]
  first, paused, longest = start, 0.0, 0.0
  for start, stop in intervals[1:]:
    pause = max(0.0, start - end)
    paused, longest = paused + pause, max(longest, pause)
    end = max(end, stop)
  whole = end - first
  return whole, 1 - paused / whole, longest


if __name__ == "__main__":
  app.run(main)

"""Whether steps wait for the host, from the profiles of a training.

  python -m cmm_jax.main --config=configs/quick.py --config.train.profile=True
  python -m benchmarks.read_profile runs/quick

Of the traced steps of each phase: the share of the time in which a program of
XLA's ran, and the longest pause between two. A batch that was not ready, or a
host that looked at a result before it sent the next step, would be a pause.
"""

import pathlib
import sys
from collections.abc import Iterable, Sequence

import jax
from absl import app

_ON_CPU = "ThunkExecutor::Execute (wait for completion)"
_ON_DEVICE = "XLA Modules"  # the line of an accelerator that has the programs

Interval = tuple[float, float]


def main(argv: Sequence[str]) -> None:
  """Prints a row for each phase that was traced."""
  if len(argv) != 2:
    raise app.UsageError("Name the training's folder, such as runs/quick.")
  folder = pathlib.Path(argv[1]) / "profile"
  files = {}
  for file in sorted(folder.glob("*/plugins/profile/*/*.xplane.pb")):
    files[file.relative_to(folder).parts[0]] = file  # the newest of each phase
  if not files:
    sys.exit(
      f"error: no profile in {folder}; train there with "
      "--config.train.profile=True."
    )
  print("| phase | traced, s | a program runs | longest pause, ms |")
  print("|---|---|---|---|")
  for phase, file in files.items():
    try:
      whole, running, pause = summary(programs(file))
    except ValueError as error:
      sys.exit(f"error: {file}: {error}; was it traced by this JAX?")
    print(f"| {phase} | {whole:.2f} | {running:.1%} | {1e3 * pause:.1f} |")


def programs(file: pathlib.Path) -> list[Interval]:
  """When programs ran, in seconds, in the trace of a CPU or an accelerator."""
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
  """Seconds from the first start to the last end, the share of them in which
  an interval runs, and the seconds of the longest pause.

  Raises:
    ValueError: there are no intervals.
  """
  intervals = sorted(intervals)
  if not intervals:
    raise ValueError("the trace holds no program of XLA's")
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

"""Says how long each phase of a run took, from its logs.

  python -m benchmarks.training_time runs/quick

Seconds include compilation, which is in the time up to the first log; steps a
second are the median over the later ones. An interrupted run counts the steps
that stand. With --config.train.profile=True the run's last column is the share
of the time in which a program runs (`read_profile`).
"""

import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

from absl import app

from benchmarks import read_profile
from cmm_jax import monitor


def main(argv: Sequence[str]) -> None:
  """Prints a row for each phase, in the order of their training."""
  if len(argv) != 2:
    raise app.UsageError("Name one run's folder, such as runs/quick.")
  workdir = pathlib.Path(argv[1])
  files = sorted(
    workdir.glob("metrics/*.jsonl"), key=lambda file: file.stat().st_mtime
  )
  if not files:
    sys.exit(f"error: no metrics in {workdir}; name the folder of a run.")
  traces = read_profile.traces(workdir)
  print(
    "| phase | steps | seconds | to the first log | steps/s | loss | busy |"
  )
  print("|---|---|---|---|---|---|---|")
  total = 0.0
  for file in files:
    records = monitor.read_records(workdir, file.stem)
    if not records:
      continue
    seconds, first, rate = durations(records)
    total += seconds
    busy = "-"
    if file.stem in traces:
      trace = read_profile.programs(traces[file.stem])
      busy = f"{read_profile.summary(trace)[1]:.1%}"
    last = records[-1]
    print(
      f"| {file.stem} | {last['step']} | {seconds:.1f} | {first:.1f} "
      f"| {rate:.1f} | {last['loss']:.4g} | {busy} |"
    )
  print(f"| all | | {total:.1f} | | | | |")


def durations(
  records: Sequence[Mapping[str, float]],
) -> tuple[float, float, float]:
  """Seconds of all records, seconds up to the first, and the steps a second.

  Args:
    records: of one phase, as `monitor.read_records` returns them.
  """
  seconds, before = [], 0
  for record in records:
    seconds.append((record["step"] - before) / record["steps_per_second"])
    before = record["step"]
  rates = [record["steps_per_second"] for record in records]
  return sum(seconds), seconds[0], statistics.median(rates[1:] or rates)


if __name__ == "__main__":
  app.run(main)

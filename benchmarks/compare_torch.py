r"""Ours and PyTorch on the same works, side by side.

  pip install -e .[benchmarks]
  python -m benchmarks.compare_torch --json=speed.jsonl
  python -m benchmarks.compare_torch --work=vae-64 --work=generate-1 --rounds=5
  python -m benchmarks.compare_torch --scale --plots=curves

Each work is done by ours, as `train.py` and `generate.py` do it, and by
PyTorch in three variants, all in processes of their own with the same weights,
as many threads and the same settings of the allocator. They take turns A B B A.
A time is the median of the rounds; the ratio is the median of the rounds' own
ratios, PyTorch's best variant to ours: above 1, ours is faster. Beside them
both libraries multiply two large matrices; the faster product is the peak.
Memory is the most that was resident of a process, libraries and compilation
included.

`--scale` needs no PyTorch: it measures how ours grows with one size at a time.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags, logging

from benchmarks import flops, interleave, scaling, works
from benchmarks.interleave import OURS, THEIRS, Worker, WorkerError
from benchmarks.works import Work

_WORKS = flags.DEFINE_multi_enum(
  "work", None, list(works.WORKS), "What to do; all, where none is named."
)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Of each work.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "The file for a line of each work.")
_SCALE = flags.DEFINE_bool("scale", False, "Measure how ours grows instead.")
_PLOTS = flags.DEFINE_string(
  "plots", "curves", "The folder for a plot of each curve."
)

VARIANTS = ("eager", "channels_last", "compiled")

# As `backend.prepare` sets it for ours: large buffers are kept.
_ALLOCATOR = {
  "MALLOC_MMAP_MAX_": "0",
  "MALLOC_TRIM_THRESHOLD_": str(2**62),
  "MALLOC_ARENA_MAX": "1",
}
_HEADER = (
  *("work", "GFLOP", "ours, s", *(f"{name}, s" for name in VARIANTS)),
  *("ratio", "GFLOP/s", "of the peak", "ours, MB", "PyTorch, MB"),
)


def main(argv: Sequence[str]) -> None:
  """Measures, and prints each work's row when it is done."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; works are --work=…")
  logging.set_verbosity(logging.ERROR)  # JAX tells which backends it lacks
  if _SCALE.value:
    scaling.measure_all(_ROUNDS.value, _PLOTS.value, _JSON.value)
    return
  if importlib.util.find_spec("torch") is None:
    sys.exit(
      "error: PyTorch is not installed; pip install -e .[benchmarks], or "
      "measure ours alone with --scale."
    )
  try:
    compare_all(_WORKS.value or list(works.WORKS), _ROUNDS.value, _JSON.value)
  except WorkerError as error:
    sys.exit(f"error: the matrices cannot be multiplied: {error}")


def compare_all(
  names: Sequence[str], rounds: int, json_file: str | None
) -> None:
  """Prints a row, and writes a line, for each work; what failed comes last.

  Raises:
    WorkerError: there is no peak to compare with.
  """
  threads = len(os.sched_getaffinity(0))
  print(f"{threads} threads, {rounds} rounds\n")
  print(_row(_HEADER), _row(["---"] * len(_HEADER)), sep="\n", flush=True)
  failures = []
  with contextlib.ExitStack() as stack:
    if json_file:
      file = stack.enter_context(pathlib.Path(json_file).open("w"))
    products = {
      module: stack.enter_context(Worker(module, works.PRODUCT, environment))
      for module, environment in ((OURS, {}), (THEIRS, _ALLOCATOR))
    }
    for name in names:
      try:
        line, failed = compare(works.WORKS[name], products, rounds)
      except WorkerError as error:
        failures.append(f"{name}: {error}")
        continue
      print(_row(cells(line)), flush=True)
      failures += [f"{name}, {what}: {why}" for what, why in failed.items()]
      if json_file:
        print(json.dumps(line), file=file, flush=True)
  if failures:
    print("", *failures, sep="\n")


def compare(
  work: Work, products: Mapping[str, Worker], rounds: int
) -> tuple[dict[str, Any], dict[str, str]]:
  """Times a work.

  Args:
    work: what to do.
    products: those who multiply matrices, which gives the peak.
    rounds: how often each does its work.

  Returns:
    What `summarise` gives, and why a variant of PyTorch's has no time.

  Raises:
    WorkerError: ours cannot do the work, or somebody fails after the first
      round.
  """
  workers, failed = {}, {}
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    exchange = os.path.join(folder, "weights.npz")
    workers["ours"] = stack.enter_context(Worker(OURS, work, exchange=exchange))
    for variant in VARIANTS:
      try:
        workers[variant] = stack.enter_context(
          Worker(THEIRS, work, _ALLOCATOR, exchange=exchange, variant=variant)
        )
      except WorkerError as error:
        failed[variant] = str(error)
    runs = {name: worker.run for name, worker in (workers | products).items()}
    seconds = interleave.measure(runs, rounds)
    peaks = {name: worker.peak_mb for name, worker in workers.items()}
  product = min(statistics.median(seconds.pop(name)) for name in products)
  peak = flops.of(works.PRODUCT) / product
  return summarise(work.name, seconds, flops.of(work), peak, peaks), failed


def summarise(
  name: str,
  seconds: Mapping[str, Sequence[float]],
  operations: float,
  peak: float,
  peaks_mb: Mapping[str, float],
) -> dict[str, Any]:
  """What is said of a work, as in the JSON file; None is not known.

  Args:
    name: the work's.
    seconds: each round's, of "ours" and of those of VARIANTS that worked.
    operations: that the work needs.
    peak: operations a second of the machine.
    peaks_mb: each worker's memory.
  """
  times = {who: statistics.median(found) for who, found in seconds.items()}
  ours = times.pop("ours")
  best = min(times, key=times.get, default=None)
  ratio = None
  if best is not None:
    ratio = interleave.pairwise_ratio(seconds[best], seconds["ours"])
  return {
    "work": name,
    "ours_s": ours,
    "torch_best_s": times.get(best),
    "torch_best": best,
    "ratio": ratio,
    "share_of_peak": operations / ours / peak,
    "ours_peak_mb": peaks_mb["ours"],
    "torch_peak_mb": peaks_mb.get(best),
    "torch_s": times,
    "gflop": operations / 1e9,
    "gflops": operations / ours / 1e9,
    "peak_gflops": peak / 1e9,
    "rounds": len(seconds["ours"]),
  }


def cells(line: Mapping[str, Any]) -> list[str]:
  """A row of the table."""
  best = line["torch_best"]
  times = [line["torch_s"].get(variant) for variant in VARIANTS]
  return [
    line["work"],
    f"{line['gflop']:.0f}",
    f"{line['ours_s']:.2f}",
    *("—" if time is None else f"{time:.2f}" for time in times),
    "—" if best is None else f"{line['ratio']:.2f} ({best})",
    f"{line['gflops']:.0f} of {line['peak_gflops']:.0f}",
    f"{100 * line['share_of_peak']:.0f} %",
    f"{line['ours_peak_mb']:.0f}",
    "—" if best is None else f"{line['torch_peak_mb']:.0f}",
  ]


def _row(texts):
  return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
  app.run(main)

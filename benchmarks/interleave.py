"""Fair timing: one process per implementation, run in turns A B B A."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.cases import Case

# The programs that a worker can run.
JAX, TORCH = "benchmarks.jax_cases", "benchmarks.torch_cases"

_WARM_UPS = 2  # the first compiles, the second fills the allocator


def turns(names: Sequence[str], rounds: int) -> list[list[str]]:
  """The order within each round: alternately forwards and backwards, so that
  a drift of the machine's speed affects all alike."""
  forwards = list(names)
  return [forwards[:: -1 if i % 2 else 1] for i in range(rounds)]


def measure(
  runs: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
  """Runs everything in turns; returns each one's seconds by round.

  Args:
    runs: by name, a function that runs once and returns its seconds.
    rounds: number of times that each runs.
  """
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  for order in turns(list(runs), rounds):
    for name in order:
      seconds[name].append(runs[name]())
  return seconds


def pairwise_ratios(
  numerators: Sequence[float], denominators: Sequence[float]
) -> list[float]:
  """The ratio within each round."""
  pairs = zip(numerators, denominators, strict=True)
  return [a / b for a, b in pairs]


class WorkerError(RuntimeError):
  """A worker could not build or run its case."""


class Worker:
  """A process that runs one case again and again.

  Attributes:
    peak_mb: its peak memory so far: on the device if that is an accelerator,
      else resident memory, libraries and compilation included.
  """

  def __init__(
    self,
    module: str,
    case: Case,
    environment: Mapping[str, str] | None = None,
    *,
    repeats: int = 1,
    **arguments: Any,
  ):
    """Starts the process, builds the case and warms it up.

    Args:
      module: the program, which calls `serve`.
      case: to run.
      environment: variables to set beside those of this process.
      repeats: runs to dispatch, and to wait for together, in one timing.
      **arguments: to pass to the function that `serve` is given.

    Raises:
      WorkerError: the case could not be built or run.
    """
    self.peak_mb = 0.0
    self._repeats = repeats
    self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
    self._process = subprocess.Popen(
      [sys.executable, "-m", module],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._log,
      env={**os.environ, **(environment or {})},
      text=True,
    )
    try:
      self._ask({"case": dataclasses.asdict(case), "arguments": arguments})
      for _ in range(_WARM_UPS):
        self.run()
    except WorkerError:
      self.close()
      raise

  def run(self) -> float:
    """Runs the case; returns the seconds of one run.

    Raises:
      WorkerError: the run failed.
    """
    answer = self._ask({"repeats": self._repeats})
    self.peak_mb = answer["peak_mb"]
    return answer["seconds"] / self._repeats

  def close(self) -> None:
    """Ends the process."""
    self._process.communicate()
    self._log.close()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def _ask(self, question):
    try:
      self._process.stdin.write(json.dumps(question) + "\n")
      self._process.stdin.flush()
      line = self._process.stdout.readline()
    except BrokenPipeError:
      line = ""
    if not line:
      code = self._process.wait()
      self._log.seek(0)
      last_lines = self._log.read().strip().splitlines() or [""]
      raise WorkerError(f"its process ended with {code}: {last_lines[-1]}")
    answer = json.loads(line)
    if "error" in answer:
      raise WorkerError(answer["error"])
    return answer


def serve(
  build: Callable[..., Callable[[int], Any]],
  device_peak_mb: Callable[[], float | None] = lambda: None,
) -> None:
  """Answers a `Worker` until it closes; the main function of its process.

  Args:
    build: `build(case, **arguments)` returns `run(repeats)`, which runs the
      case and returns when all its results are ready.
    device_peak_mb: returns the accelerator's peak memory, or None on a CPU.
  """
  answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
  os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print
  run = None
  for line in sys.stdin:
    question = json.loads(line)
    try:
      if run is None:
        run = build(Case(**question["case"]), **question["arguments"])
        answer = {}
      else:
        start = time.perf_counter()
        run(question["repeats"])
        seconds = time.perf_counter() - start
        peak_mb = device_peak_mb() or _peak_resident_mb()
        answer = {"seconds": seconds, "peak_mb": peak_mb}
    except Exception as error:  # reported to the worker's owner
      traceback.print_exc()
      first_line = (str(error).strip().splitlines() or [""])[0]
      answer = {"error": f"{type(error).__name__}: {first_line}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _peak_resident_mb() -> float:
  """Of this process alone: getrusage would count its parent's, too."""
  status = pathlib.Path("/proc/self/status").read_text()
  (line,) = (s for s in status.splitlines() if s.startswith("VmHWM"))
  return int(line.split()[1]) * 1024 / 1e6

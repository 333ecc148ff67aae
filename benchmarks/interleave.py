"""Fair timing: a process for each competitor, who take turns A B B A."""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.works import Work

# The programs that a worker can be.
OURS, THEIRS = "benchmarks.our_works", "benchmarks.torch_works"

_WARM_UPS = 2  # the first compiles, the second fills the allocator


def turns(names: Sequence[str], rounds: int) -> list[list[str]]:
  """Who runs in which order: forwards and backwards by turns, so that what
  speeds the machine up or slows it down meets all alike."""
  forwards = list(names)
  return [forwards[:: -1 if i % 2 else 1] for i in range(rounds)]


def measure(
  runs: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
  """Each round's seconds of every competitor.

  Args:
    runs: by the competitor's name, what does its work once and gives the
      seconds that this took.
    rounds: how often each runs.
  """
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  for order in turns(list(runs), rounds):
    for name in order:
      seconds[name].append(runs[name]())
  return seconds


def pairwise_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
  """How many times as long theirs takes: the median of the rounds' ratios."""
  return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


class WorkerError(RuntimeError):
  """A worker could not do its work."""


class Worker:
  """A process of its own that does one work again and again.

  Attributes:
    peak_mb: the most of its memory that has been resident so far.
  """

  def __init__(
    self,
    module: str,
    work: Work,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,
  ):
    """Starts the process, builds the work and warms it up.

    Args:
      module: the program, which calls `serve`.
      work: what to do.
      environment: variables that it gets beside this process'.
      **arguments: of the function that `serve` is given, beside the work.

    Raises:
      WorkerError: the work cannot be built or done.
    """
    self.peak_mb = 0.0
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
      self._ask({"work": dataclasses.asdict(work), "arguments": arguments})
      for _ in range(_WARM_UPS):
        self.run()
    except WorkerError:
      self.close()
      raise

  def run(self) -> float:
    """Does the work once; gives its seconds."""
    answer = self._ask("run")
    self.peak_mb = answer["peak_mb"]
    return answer["seconds"]

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
      said = self._log.read().strip().splitlines() or [""]
      raise WorkerError(f"its process ended with {code}: {said[-1]}")
    answer = json.loads(line)
    if "error" in answer:
      raise WorkerError(answer["error"])
    return answer


def serve(build: Callable[..., Callable[[], Any]]) -> None:
  """Answers a `Worker` until it closes; the main function of its process.

  Args:
    build: gives, for a work, what does it once and waits for its end.
  """
  answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
  os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print
  run = None
  for line in sys.stdin:
    question = json.loads(line)
    try:
      if run is None:
        run = build(Work(**question["work"]), **question["arguments"])
        answer = {}
      else:
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        answer = {"seconds": seconds, "peak_mb": _peak_resident_mb()}
    except Exception as error:  # told to whoever asked
      traceback.print_exc()
      said = (str(error).strip().splitlines() or [""])[0]
      answer = {"error": f"{type(error).__name__}: {said}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _peak_resident_mb() -> float:
  """This process' alone: getrusage would count what started it, too."""
  status = pathlib.Path("/proc/self/status").read_text()
  (line,) = (s for s in status.splitlines() if s.startswith("VmHWM"))
  return int(line.split()[1]) * 1024 / 1e6

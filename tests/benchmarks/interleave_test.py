"""Workers and their turns."""

import os
import pathlib

import pytest

from benchmarks import interleave
from benchmarks.cases import Case

ROOT = pathlib.Path(__file__).parents[2]


def test_rounds_go_forwards_and_backwards_by_turns():
  assert interleave.turns("AB", 4) == [list("AB"), list("BA")] * 2
  asked = []

  def implementation(name, seconds):
    def run():
      asked.append(name)
      return next(seconds)

    return run

  seconds = interleave.measure(
    {
      "A": implementation("A", iter([1.0, 2.0, 3.0])),
      "B": implementation("B", iter([4.0, 5.0, 6.0])),
    },
    rounds=3,
  )

  assert "".join(asked) == "ABBAAB"
  assert seconds == {"A": [1.0, 2.0, 3.0], "B": [4.0, 5.0, 6.0]}


def test_ratios_are_those_within_rounds():
  # The machine is ten times slower in the second round.
  slow, fast = [2.0, 30.0, 8.0], [1.0, 10.0, 2.0]

  assert interleave.pairwise_ratios(slow, fast) == [2.0, 3.0, 4.0]


@pytest.fixture
def program(tmp_path):
  """A worker's program that needs no libraries, and its environment."""
  (tmp_path / "counter.py").write_text("""
import os, time
from benchmarks import interleave

def build(case, calls):
  def run(repeats):
    print("noise of a library")
    for _ in range(repeats):
      time.sleep(0.01)
      calls.append(case.clips)
    if len(calls) > 8:
      os._exit(3)
  return {"count": lambda: run}[case.kind]()

interleave.serve(build)
""")
  paths = [str(tmp_path), str(ROOT)]
  return "counter", {"PYTHONPATH": os.pathsep.join(paths)}


def test_a_worker_runs_in_a_process_of_its_own(program):
  module, environment = program
  with interleave.Worker(
    module, Case("", "count"), environment, repeats=2, calls=[]
  ) as worker:
    assert worker.run() >= 0.01  # of one of two repeats
    assert 5 < worker.peak_mb < 1000
    worker.run()
    with pytest.raises(interleave.WorkerError, match="ended with 3"):
      worker.run()  # the fifth, since two were to warm up


def test_a_worker_reports_its_error(program):
  module, environment = program
  with pytest.raises(interleave.WorkerError, match="KeyError: 'no_such_kind'"):
    interleave.Worker(module, Case("", "no_such_kind"), environment, calls=[])

"""Functions of many examples give the same results however they are applied."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from cmm_jax.evaluation import batches

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("number", [1, 4, 5, 9])
def test_batches_have_one_size_and_give_one_result_per_example(number):
  sizes = []

  def function(x, y):
    sizes.append((len(x), len(y)))
    return {"sum": x.sum(axis=1) + y, "none": None}

  x, y = np.arange(2.0 * number).reshape(number, 2), np.arange(number)
  result = batches.apply_in_batches(function, x, y, batch_size=4)

  np.testing.assert_array_equal(result["sum"], x.sum(axis=1) + y)
  assert result["none"] is None
  assert sizes == [(4, 4)] * -(-number // 4)


def test_equal_examples_are_computed_once():
  computed = []

  def function(x, y):
    computed.extend(x.tolist())
    return x + y, 2 * x

  memoized = batches.Memoized(function)
  x, y = np.array([3, 1, 3, 3]), np.array([0, 0, 0, 1])
  first = memoized(x, y)
  second = memoized(x[::-1], y[::-1])

  assert computed == [3, 1, 3]  # 3 with 0, 1 with 0, 3 with 1
  np.testing.assert_array_equal(first, [[3, 1, 3, 4], [6, 2, 6, 6]])
  np.testing.assert_array_equal(second, np.array(first)[:, ::-1])


def test_processes_give_the_results_in_order():
  x = np.random.default_rng(0).normal(size=(50, 3))

  result = batches.apply_in_processes(np.cumsum, x, min_examples=51)
  np.testing.assert_array_equal(result, np.cumsum(x))  # here, in one chunk

  rows = batches.apply_in_processes(np.negative, x, min_examples=50)
  np.testing.assert_array_equal(rows, -x)


@pytest.mark.parametrize("min_calls", [2, 3])
def test_calls_are_made_with_each_set_of_arguments(tmp_path, min_calls):
  files = [str(tmp_path / name) for name in ("a.npy", "b.npy")]

  batches.call_in_processes(np.save, files, [1, 2], min_calls=min_calls)

  assert [int(np.load(file)) for file in files] == [1, 2]
  with pytest.raises(FileNotFoundError, match="missing"):
    batches.call_in_processes(
      np.save, [str(tmp_path / "missing" / "a.npy")] * 2, [1, 2], min_calls=2
    )


_KILLED = """
import os, signal
import numpy as np
from cmm_jax.evaluation import batches

if __name__ == "__main__":
  batches.apply_in_processes(np.negative, np.arange(8.0), min_examples=1)
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
  script = tmp_path / "killed.py"
  script.write_text(_KILLED)

  # Returns when nobody has the output open any more, or fails by the timeout.
  done = subprocess.run(
    [sys.executable, str(script)],
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    stdout=subprocess.PIPE,
    timeout=60,
    check=False,
  )

  assert done.returncode == -signal.SIGKILL

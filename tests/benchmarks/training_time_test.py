"""How long phases took, from their logs."""

import pathlib

import pytest

from benchmarks import training_time


def test_seconds_are_those_between_the_logs():
  # 10 steps in 20 s with the compilation, then 10 in 5 s and 20 in 5 s.
  records = [
    {"step": 10, "steps_per_second": 0.5},
    {"step": 20, "steps_per_second": 2.0},
    {"step": 40, "steps_per_second": 4.0},
  ]

  assert training_time.durations(records) == pytest.approx((30, 20, 3.0))


def test_a_phase_that_logged_once_has_that_rate():
  found = training_time.durations([{"step": 3, "steps_per_second": 1.5}])

  assert found == pytest.approx((2, 2, 1.5))


def test_the_table_has_a_row_for_each_phase(finished, capsys):
  training_time.main(["", finished.workdir])

  rows = capsys.readouterr().out.splitlines()[2:]
  assert [row.split(" | ")[:2] for row in rows[:2]] == [
    ["| vae", "3"],
    ["| conditional", "3"],
  ]
  assert rows[-1].startswith("| all |")


def test_a_folder_without_a_run_is_refused(tmp_path: pathlib.Path):
  with pytest.raises(SystemExit, match="no metrics in"):
    training_time.main(["", str(tmp_path)])

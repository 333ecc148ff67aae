"""Epochs for equal time, worked by hand."""

import pytest

from benchmarks import equal_time


def test_a_phase_takes_its_steps_at_the_steady_rate():
  # 50 steps with the compilation, then 2 and 4 steps a second.
  records = [
    {"step": 50, "steps_per_second": 0.5},
    {"step": 100, "steps_per_second": 2.0},
    {"step": 150, "steps_per_second": 4.0},
  ]

  assert equal_time.steady_seconds(records) == pytest.approx(150 / 3)


def test_all_phases_of_a_model_get_more_or_fewer_epochs_by_one_factor():
  epochs = {
    **{"vae": 6.0, "conditional": 2.0, "modes": 1.0, "translator": 1.0},
    **{"regressors": 3.0, "cra_net_vae": 6.0, "cra_net": 2.0},
  }

  found = equal_time.equal_epochs(
    {"cmm_net": 200.0, "cra_net": 400.0}, epochs, budget=100.0
  )

  assert found == {
    **{"vae": 3.0, "conditional": 1.0, "modes": 0.5, "translator": 0.5},
    **{"cra_net_vae": 1.5, "cra_net": 0.5},
  }


def test_a_run_without_the_baselines_is_refused(finished):
  with pytest.raises(SystemExit, match=r"logs of cmm_net; train .*cra_net"):
    equal_time.main(["", finished.workdir])

"""Intervals, on values whose mean is known."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.metrics import bootstrap


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
  random = np.random.default_rng(0)
  held = []
  for seed in range(200):
    values = random.exponential(2.0, 80)  # skewed, with mean 2
    found = bootstrap.mean_over_clips(values, "SSIM", seed)
    held.append(found.low <= 2.0 <= found.high)

  # 0.95 less what 80 skewed values cost, give or take 3 deviations of 0.016.
  assert 0.89 <= np.mean(held) <= 0.99


def test_the_interval_is_that_of_the_normal_distribution_for_many_clips():
  values = np.random.default_rng(1).normal(5.0, 3.0, 1000)

  found = bootstrap.mean_over_clips(values, "SSIM")

  error = values.std() / np.sqrt(1000)
  np.testing.assert_allclose(found.mean, values.mean())
  np.testing.assert_allclose(found.low, found.mean - 1.96 * error, atol=0.01)
  np.testing.assert_allclose(found.high, found.mean + 1.96 * error, atol=0.01)
  assert found.clips == 1000


def test_one_clip_has_no_width():
  found = bootstrap.mean_over_clips(np.array([0.7]), "SSIM")

  assert found == bootstrap.Estimate(0.7, 0.7, 0.7, 1)


@hypothesis.given(
  values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_the_interval_lies_among_the_values_and_repeats(values, seed):
  values = np.array(values)

  found = bootstrap.mean_over_clips(values, "SSIM", seed)

  assert values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9
  assert found == bootstrap.mean_over_clips(values, "SSIM", seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_none_is_an_error_with_the_metrics_name(bad):
  values = np.array([0.5, bad, 0.7, bad])

  with pytest.raises(ValueError, match=rf"AED is {bad} for clip 1 \(2 of 4"):
    bootstrap.mean_over_clips(values, "AED")
  with pytest.raises(ValueError, match="AED has no clips"):
    bootstrap.mean_over_clips(values[:0], "AED")

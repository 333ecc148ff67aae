"""Confidence intervals of values whose distribution is known."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.evaluation.metrics import confidence


def test_the_interval_contains_the_true_mean_about_95_times_in_100():
  random = np.random.default_rng(0)
  contained = []
  for seed in range(200):
    values = random.exponential(2.0, 80)  # skewed, with mean 2
    found = confidence.mean_over_clips(values, "SSIM", seed)
    contained.append(found.low <= 2.0 <= found.high)

  # 0.95 less what 80 skewed values cost, give or take 3 standard errors, 0.016.
  assert 0.89 <= np.mean(contained) <= 0.99


def test_the_interval_is_that_of_the_normal_distribution_for_many_clips():
  values = np.random.default_rng(1).normal(5.0, 3.0, 1000)

  found = confidence.mean_over_clips(values, "SSIM")

  error = values.std() / np.sqrt(1000)
  np.testing.assert_allclose(found.value, values.mean())
  np.testing.assert_allclose(found.low, found.value - 1.96 * error, atol=0.01)
  np.testing.assert_allclose(found.high, found.value + 1.96 * error, atol=0.01)
  assert found.clips == 1000


def test_the_interval_of_one_clip_is_a_point():
  found = confidence.mean_over_clips(np.array([0.7]), "SSIM")

  assert found == confidence.Estimate(0.7, 0.7, 0.7, 1)


@hypothesis.given(
  values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_the_interval_lies_within_the_values_and_is_reproducible(values, seed):
  values = np.array(values)

  found = confidence.mean_over_clips(values, "SSIM", seed)

  assert values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9
  assert found == confidence.mean_over_clips(values, "SSIM", seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_error_for_a_value_that_is_not_finite_names_the_metric(bad):
  values = np.array([0.5, bad, 0.7, bad])

  with pytest.raises(ValueError, match=rf"AED is {bad} for clip 1 \(2 of 4"):
    confidence.mean_over_clips(values, "AED")
  with pytest.raises(ValueError, match="AED has no clips"):
    confidence.mean_over_clips(values[:0], "AED")


def test_the_jackknife_of_a_mean_is_its_standard_error():
  values = np.random.default_rng(0).normal(5, 2, 500)

  found = confidence.jackknife(lambda some: values[some].mean(), 500)

  assert found.value == pytest.approx(values.mean()) and found.clips == 500
  # t with 9 degrees of freedom: 2.26 standard errors, which ten groups estimate
  # to a quarter.
  wanted = 2.262 * values.std() / np.sqrt(500)
  assert (found.high - found.low) / 2 == pytest.approx(wanted, rel=0.5)


def test_a_constant_statistic_has_no_width_and_no_interval_passes_the_minimum():
  assert confidence.jackknife(lambda some: 3.0, 20) == confidence.Estimate(
    3.0, 3.0, 3.0, 20
  )
  near = confidence.jackknife(
    lambda some: 0.1 if len(some) == 20 else float(0 in some), 20, minimum=0.0
  )
  assert near.low == 0.0 < near.high


def test_too_few_clips_have_no_jackknife_interval():
  found = confidence.jackknife(lambda some: float(len(some)), 3)

  assert found == confidence.Estimate(3.0, None, None, 3)


def test_a_statistic_undefined_without_some_clips_has_no_interval():
  found = confidence.jackknife(
    lambda some: 1.0 if 0 in some else np.nan, 20, minimum=0.0
  )

  assert found == confidence.Estimate(1.0, None, None, 20)

"""Curves and agreement, worked by hand and from a published table."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.evaluation.metrics import action_units


def test_the_mean_curve_is_the_mean_over_clips_and_five_frames():
  curves = np.zeros((2, 7, 2))
  curves[0, 3, 0] = 10  # one clip of two, one frame: a mean of 5 there

  found = action_units.mean_curve(curves)

  np.testing.assert_allclose(found[:, 0], [0, 5 / 4, 1, 1, 1, 5 / 4, 0])
  np.testing.assert_array_equal(found[:, 1], 0)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 32])
def test_a_flat_curve_stays_flat_to_its_ends(frames):
  curves = np.full((3, frames, 2), 2.5, np.float32)

  np.testing.assert_allclose(
    action_units.mean_curve(curves), np.full((frames, 2), 2.5)
  )


def test_the_distance_is_summed_over_frames_for_each_action_unit():
  true = np.zeros((3, 32, 2))
  generated = np.zeros((5, 32, 2))
  generated[..., 1] = [[-0.5], [0.5], [1.0], [1.5], [2.5]]  # 1 on average

  distance = action_units.curve_distance(generated, true)

  np.testing.assert_allclose(distance, [0, 32], atol=1e-12)
  np.testing.assert_allclose(
    action_units.curve_distance(true, generated), distance
  )


def test_the_distance_of_a_late_smile_is_proportional_to_its_delay():
  def step(start):
    return np.where(np.arange(32) >= start, 4.0, 0.0)[None, :, None]

  # They differ by 4 in three frames; smoothing preserves the sum.
  distance = action_units.curve_distance(step(13), step(10))

  np.testing.assert_allclose(distance, [3 * 4])


# Shrout & Fleiss 1979, table 2: six targets, four raters; their ICC(3,1) is .71
# (table 4), from BMS 11.24 and EMS 1.02 (table 3).
RATINGS = np.array(
  [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
  ],
  np.float64,
)


def test_the_icc_is_that_of_shrout_and_fleiss():
  found = action_units.intraclass_correlation(RATINGS)

  np.testing.assert_allclose(found, 0.71, atol=0.005)
  wanted = (11.24 - 1.02) / (11.24 + 3 * 1.02)
  np.testing.assert_allclose(found, wanted, atol=5e-4)


@hypothesis.given(offset=st.floats(-100, 100), seed=st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=25, deadline=None)
def test_the_icc_ignores_an_offset_but_not_a_scale(offset, seed):
  true = np.random.default_rng(seed).normal(size=30)

  def icc(other):
    return action_units.intraclass_correlation(np.stack([true, other], 1))

  np.testing.assert_allclose(icc(true + offset), 1, rtol=1e-9)
  # x and 3 x: BMS = 2 var(2 x) = 8, EMS = var(x) + var(-x) = 2
  np.testing.assert_allclose(icc(3 * true + offset), 0.6, rtol=1e-9)
  np.testing.assert_allclose(icc(-true), -1, rtol=1e-9)


def test_the_agreement_of_intensities_is_that_worked_by_hand():
  true = np.array([0.0, 1.0, 2.0, 3.0])
  predicted = np.array([1.0, 1.0, 3.0, 3.0])

  found = action_units.agreement(predicted, true)

  assert found.mae == (1 + 0 + 1 + 0) / 4
  # Deviations -1.5 -.5 .5 1.5 and -1 -1 1 1: 4 / sqrt(5 * 4)
  np.testing.assert_allclose(found.correlation, 4 / np.sqrt(20))
  # Sums of squares: targets 2 * (1.25^2 + .75^2 + .75^2 + 1.25^2) = 8.5 of 3,
  # residual (.25^2 * 4) * 2 = 0.5 of 3.
  np.testing.assert_allclose(found.icc, (8.5 - 0.5) / (8.5 + 0.5))


def test_constant_intensities_have_no_correlation():
  flat, varied = np.ones(5, np.float32), np.arange(5, dtype=np.float32)

  found = action_units.agreement(flat, varied)

  assert np.isnan(found.correlation)
  # Half of the variance is between targets, half is residual: BMS = EMS.
  np.testing.assert_allclose(found.icc, 0, atol=1e-12)
  assert np.isnan(action_units.agreement(flat, flat).icc)


def test_one_frame_has_no_agreement():
  with pytest.raises(ValueError, match="2 raters of 1 targets have no ICC"):
    action_units.agreement(np.ones(1), np.ones(1))


def test_the_half_rise_is_interpolated_between_frames():
  curve = np.zeros(32)
  curve[10:] = 4
  curve[9] = 1  # half of 4 is a third of the way from 1 to 4

  np.testing.assert_allclose(action_units.half_rise(curve), 9 + 1 / 3)


def test_the_half_rise_is_relative_to_the_first_frame_and_may_be_a_fall():
  curve = 3 - np.clip(np.arange(32) / 20, 0, 1)  # from 3 to 2

  np.testing.assert_allclose(action_units.half_rise(curve), 10)


def test_a_constant_curve_has_no_half_rise():
  assert np.isnan(action_units.half_rise(np.ones(32)))

"""Gaps in per-frame measurements."""

import numpy as np
import pytest

from cmm_jax.preprocess import gaps


def test_runs_are_found_at_both_ends_and_in_between():
  mask = np.array([1, 1, 0, 1, 0, 0, 1], bool)

  assert gaps.runs(mask) == [(0, 2), (3, 4), (6, 7)]
  assert gaps.runs(np.zeros(3, bool)) == []


@pytest.mark.parametrize(
  ("interval", "max_frames"), [(0.02, 10), (0.04, 5), (0.1, 2), (1.0, 2)]
)
def test_gaps_of_a_fifth_of_a_second_or_two_frames_are_allowed(
  interval, max_frames
):
  missing = np.zeros(40, bool)
  missing[4 : 4 + max_frames] = True
  assert gaps.first_too_long(missing, interval) is None

  missing[20 : 21 + max_frames] = True

  assert gaps.first_too_long(missing, interval) == (20, 21 + max_frames)
  assert gaps.max_frames(interval) == max_frames


def test_a_video_without_any_measurement_is_too_long_a_gap():
  assert gaps.first_too_long(np.ones(1, bool), 1.0) == (0, 1)


def test_gaps_are_interpolated_linearly_and_extended_at_the_ends():
  values = np.array([[9, 9], [1, 10], [9, 9], [9, 9], [4, 40], [9, 9]], float)
  missing = np.array([1, 0, 1, 1, 0, 1], bool)

  filled = gaps.interpolate(values, missing)

  np.testing.assert_allclose(filled[:, 0], [1, 1, 2, 3, 4, 4])
  np.testing.assert_allclose(filled[:, 1], [10, 10, 20, 30, 40, 40])

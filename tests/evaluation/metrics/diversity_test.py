"""Distances to the truth, worked out by hand; the APD is in metrics_test."""

import numpy as np

from cmm_jax.evaluation.metrics import diversity


def sequences():
  """Two samples and the truth: 2 frames of 2 points."""
  truth = np.zeros((2, 2, 2), np.float32)
  early = truth.copy()
  early[0] = 3, 4  # both points, 5 away at first, then right
  late = truth.copy()
  late[1, 0] = 0, 8  # one of two points, 8 away at last
  return np.stack([early, late]), truth


def test_the_average_error_is_that_of_the_sample_nearest_over_all_frames():
  samples, truth = sequences()

  # early: (5 + 0) / 2 frames; late: (0 + 8 / 2 points) / 2 frames
  assert diversity.average_displacement_error(samples, truth) == 2
  assert diversity.average_displacement_error(samples[:1], truth) == 2.5


def test_the_final_error_is_that_of_the_sample_nearest_in_the_last_frame():
  samples, truth = sequences()

  assert diversity.final_displacement_error(samples, truth) == 0
  assert diversity.final_displacement_error(samples[1:], truth) == 4


def test_a_sample_more_never_raises_an_error():
  random = np.random.default_rng(0)
  samples = random.normal(size=(6, 8, 5, 2)).astype(np.float32)
  truth = random.normal(size=(8, 5, 2)).astype(np.float32)

  for error in (
    diversity.average_displacement_error,
    diversity.final_displacement_error,
  ):
    found = [error(samples[:n], truth) for n in range(1, 7)]
    assert all(np.diff(found) <= 0) and found[-1] < found[0]
    assert error(truth[None], truth) == 0

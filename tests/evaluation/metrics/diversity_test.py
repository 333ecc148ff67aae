"""Distances between sequences and to the truth, worked by hand."""

import numpy as np
import pytest

from cmm_jax.evaluation.metrics import diversity


def test_the_pairwise_distance_is_the_mean_over_pairs_frames_and_points():
  static = np.zeros((2, 2, 2), np.float32)  # [t p 2]
  moved = static.copy()
  moved[1, 0] = 3, 4  # one of two points in one of two frames, by 5
  far = static + np.array([0, 8], np.float32)

  both = diversity.average_pairwise_distance(np.stack([static, moved]))
  three = diversity.average_pairwise_distance(np.stack([static, moved, far]))

  np.testing.assert_allclose(both, 5 / 4)
  # static-moved 5/4, static-far 8, moved-far (8 + 8 + 8 + |3, -4|) / 4
  np.testing.assert_allclose(three, (5 / 4 + 8 + (24 + 5) / 4) / 3, rtol=1e-6)


def test_equal_sequences_have_no_distance_and_a_single_one_is_refused():
  sequence = np.ones((1, 2, 3, 2), np.float32)

  assert diversity.average_pairwise_distance(np.repeat(sequence, 3, 0)) == 0
  with pytest.raises(ValueError, match="1 sequence has no distance"):
    diversity.average_pairwise_distance(sequence)


def test_the_displacement_is_the_mean_distance_from_the_start():
  start = np.ones((2, 2), np.float32)
  sequence = np.stack([start, start + np.array([[3, 4], [0, 0]])]).astype(
    np.float32
  )

  assert diversity.mean_displacement(sequence, start) == 5 / 4


def sequences():
  """Two samples and the truth: 2 frames of 2 points."""
  truth = np.zeros((2, 2, 2), np.float32)
  early = truth.copy()
  early[0] = 3, 4  # both points, 5 away at first, then right
  late = truth.copy()
  late[1, 0] = 0, 8  # one of two points, 8 away at last
  return np.stack([early, late]), truth


def test_the_ade_is_that_of_the_sample_closest_over_all_frames():
  samples, truth = sequences()

  # early: (5 + 0) / 2 frames; late: (0 + 8 / 2 points) / 2 frames
  assert diversity.average_displacement_error(samples, truth) == 2
  assert diversity.average_displacement_error(samples[:1], truth) == 2.5


def test_the_fde_is_that_of_the_sample_closest_in_the_last_frame():
  samples, truth = sequences()

  assert diversity.final_displacement_error(samples, truth) == 0
  assert diversity.final_displacement_error(samples[1:], truth) == 4


def test_a_further_sample_never_increases_an_error():
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

"""Measures of several smiles of a face, worked by hand."""

import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics import diversity, multimodal


def test_the_multimodal_error_is_the_mean_over_the_true_futures():
  still = np.zeros((2, 1, 2), np.float32)  # 2 frames of 1 point
  near, far = still.copy(), still.copy()
  near[1] = 3, 4  # 5 away in the last frame
  far[:] = 0, 8  # 8 away in both

  # The sample nearest to each future: still for near, far for far.
  found = multimodal.multimodal_error(
    diversity.average_displacement_error,
    np.stack([still, far]),
    np.stack([near, far]),
  )
  one_smile = multimodal.multimodal_error(
    diversity.final_displacement_error, still[None], np.stack([near, far])
  )

  assert found == pytest.approx((2.5 + 0) / 2)
  assert one_smile == pytest.approx((5 + 8) / 2)


@pytest.mark.parametrize(
  ("similarities", "expected"),
  [
    (np.ones((3, 3)), 1),  # all alike
    (np.eye(3), 3),  # all different
    # Two alike and one other: eigenvalues 2/3 and 1/3.
    (np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), 3 / 2 ** (2 / 3)),
  ],
)
def test_the_vendi_score_is_the_effective_number_of_samples(
  similarities, expected
):
  assert multimodal.vendi_score(similarities) == pytest.approx(expected)


def test_similarity_falls_with_the_distance_of_the_points():
  sequences = np.zeros((3, 2, 4, 2))
  sequences[1, ..., 0] = 1  # all points a pixel to the right
  sequences[2, ..., 0] = 9

  found = multimodal.similarities(sequences)

  np.testing.assert_allclose(np.diag(found), 1)
  assert found[0, 1] == found[1, 0] == pytest.approx(np.exp(-0.5))
  assert found[0, 2] == pytest.approx(np.exp(-40.5))


def test_the_size_of_the_frames_does_not_change_how_many_smiles_differ():
  sequences = np.stack([smile(8, far=far) for far in (1, 4, 6)])

  class Measured:
    """Smiles in frames of some size."""

    def __init__(self, size):
      self.size = size

    def over_alternatives(self, function):
      frames = np.zeros((3, 1, self.size, self.size, 3))
      return function(sequences * self.size / 64, frames)

  for name in ("vendi", "timing_diversity"):
    (metric,) = (m for m in multimodal.METRICS if m.name == name)
    small, large = (metric.per_clip(Measured(s), None) for s in (64, 128))
    assert small == pytest.approx(large)


def smile(start, frames=32, far=4.0):
  """Landmarks whose mouth corners move up between two frames."""
  sequence = np.zeros((frames, landmarks.NUM_POINTS, 2))
  rise = np.clip((np.arange(frames) - start) / 4, 0, 1)
  sequence[:, list(landmarks.MOUTH_CORNERS), 1] = -far * rise[:, None]
  return sequence


def test_a_smile_is_half_way_where_its_mouth_is():
  assert multimodal.half_rise(smile(start=10)) == pytest.approx(12)
  assert multimodal.half_rise(smile(start=3.5)) == pytest.approx(5.5)
  assert np.isnan(multimodal.half_rise(smile(start=10, far=0.4)))


def test_timing_diversity_is_the_deviation_of_the_moving_smiles():
  same = np.stack([smile(8), smile(8)])
  apart = np.stack([smile(6), smile(10), smile(8, far=0)])

  assert multimodal.timing_diversity(same) == 0
  assert multimodal.timing_diversity(apart) == pytest.approx(np.sqrt(8))
  assert np.isnan(multimodal.timing_diversity(apart[1:]))


def modes_that_move(right):
  """Modes [n k t 68 2] that move to the right by `right` [n k] pixels."""
  right = np.asarray(right, float)
  points = np.zeros((*right.shape, 12, 68, 2))
  points[:, :, 1:, :, 0] = right[..., None, None]
  return points


def test_modes_are_consistent_if_they_differ_alike_for_all_faces():
  # The second face smiles more than the first, but its modes differ as much.
  points = modes_that_move([[0, 2, 4], [5, 7, 9]])

  assert multimodal.mode_consistency(points) == pytest.approx(1)


def test_modes_in_another_order_for_each_face_are_not_consistent():
  # Deviations (-2, 0, 2) and (2, 0, -2) have a mean of 0.
  assert multimodal.mode_consistency(
    modes_that_move([[0, 2, 4], [4, 2, 0]])
  ) == pytest.approx(0)
  # (-1, 1) and (-3, 3): a mean of (-2, 2), so 2 x 8 of 1 + 1 + 9 + 9.
  assert multimodal.mode_consistency(
    modes_that_move([[0, 2], [0, 6]])
  ) == pytest.approx(16 / 20)


def test_equal_modes_or_a_single_face_have_no_consistency():
  assert np.isnan(multimodal.mode_consistency(modes_that_move([[3, 3]] * 2)))
  assert np.isnan(multimodal.mode_consistency(modes_that_move([[0, 3]])))

"""The detector's anchors, its candidates, and merging them."""

import numpy as np

from cmm_jax.preprocess import blazeface


def outputs(index=None, *, regressors=(), logit=3.0):
  """The model's output with one clear candidate."""
  all_regressors, logits = np.zeros((896, 16)), np.full(896, -9.0)
  if index is not None:
    all_regressors[index, : len(regressors)] = regressors
    logits[index] = logit
  return all_regressors, logits


def candidate(left, top, right, bottom):
  corners = np.array([[left, top], [right, bottom]], float)
  return np.concatenate([corners, np.tile(corners.mean(axis=0), (6, 1))])


def test_nothing_is_decoded_below_the_least_score():
  found, scores = blazeface.decode(*outputs())

  assert found.shape == (0, 8, 2) and scores.shape == (0,)


def test_a_box_and_its_key_points_are_relative_to_the_anchor():
  # Anchor 35 is the second one in row 1, column 1 of 16 x 16 cells of 8 pixels,
  # whose center is at 12 pixels.
  found, (score,) = blazeface.decode(
    *outputs(35, regressors=[4, 0, 32, 16, -2, 1])
  )

  np.testing.assert_allclose(score, 1 / (1 + np.exp(-3)))
  wanted = [[16 - 16, 12 - 8], [16 + 16, 12 + 8], [10, 13]]
  np.testing.assert_allclose(found[0, :3] * 128, wanted)


def test_the_second_grid_has_six_anchors_in_cells_of_16_pixels():
  # 512 anchors come before it; the cell of row 1 and column 2 is the eleventh.
  found, _ = blazeface.decode(*outputs(512 + 10 * 6 + 5))

  np.testing.assert_allclose(found[0, 0] * 128, [40, 24])


def test_extreme_scores_do_not_overflow():
  with np.errstate(over="raise"):
    _, scores = blazeface.decode(*outputs(0, logit=1e4))

  np.testing.assert_allclose(scores, [1])


def test_overlapping_candidates_become_their_weighted_mean():
  candidates = np.stack([candidate(0, 0, 10, 10), candidate(2, 0, 12, 10)])

  merged, scores = blazeface.suppress(candidates, np.array([0.6, 0.9]))

  # 0.9 / 1.5 of the second, 0.6 / 1.5 of the first
  np.testing.assert_allclose(merged, [candidate(1.2, 0, 11.2, 10)])
  np.testing.assert_allclose(scores, [0.9])


def test_separate_candidates_stay_and_the_best_is_first():
  candidates = np.stack([candidate(0, 0, 10, 10), candidate(9, 0, 19, 10)])

  merged, scores = blazeface.suppress(candidates, np.array([0.6, 0.9]))

  np.testing.assert_allclose(merged, candidates[::-1])
  np.testing.assert_allclose(scores, [0.9, 0.6])


def test_no_candidates_give_no_faces():
  merged, scores = blazeface.suppress(np.zeros((0, 8, 2)), np.zeros(0))

  assert merged.shape == (0, 8, 2) and scores.shape == (0,)

"""The label classifier, on curves whose labels are known."""

import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.evaluation.metrics import label_accuracy
from cmm_jax.evaluation.metrics.label_accuracy import (
  LabelClassifier,
  LabeledCurves,
)
from cmm_jax.virtual_face import smile

FRAMES = 32


def rising(onsets, seed=0):
  """Two noisy curves per clip that rise at a given frame, to any height."""
  random = np.random.default_rng(seed)
  time = np.arange(FRAMES)[None, :, None]
  starts = np.array(onsets)[:, None, None]
  starts = starts + random.uniform(-1, 1, starts.shape)
  height = random.uniform(1, 4, (len(onsets), 1, 2))
  curves = height * np.clip((time - starts) / 8, 0, 1)
  return curves + random.normal(0, 0.1, curves.shape)


def clips(onset_of_label, number, seed):
  labels = np.arange(number) % len(onset_of_label)
  onsets = [onset_of_label[label] for label in labels]
  return LabeledCurves(rising(onsets, seed), labels)


@pytest.mark.parametrize("onsets", [(4, 9), (3, 8, 13), (2, 6, 10, 14, 18)])
def test_smiles_with_different_onsets_are_classified_correctly(onsets):
  classifier = LabelClassifier(clips(onsets, 120, 0))
  test, generated = clips(onsets, 60, 1), clips(onsets, 30, 2)
  late = LabeledCurves(rising([onsets[-1]] * 30, 3), generated.labels)

  assert classifier.correct(test).mean() > 0.95
  assert classifier.correct(generated).mean() > 0.95
  # All of these move as the last label does, whatever they are conditioned on.
  np.testing.assert_array_equal(
    classifier.correct(late), generated.labels == len(onsets) - 1
  )


def test_chance_is_the_share_of_the_most_common_label():
  assert label_accuracy.chance(np.array([0, 1, 1, 2])) == 0.5


def test_the_onset_of_a_smile_counts_at_any_height():
  def of_any_height(number, seed):
    made = clips((4, 7), number, seed)
    heights = np.random.default_rng(seed).lognormal(0, 1.5, (number, 1, 1))
    return LabeledCurves(heights * made.curves, made.labels)

  accuracies = []
  for seed in range(3):
    classifier = LabelClassifier(of_any_height(200, seed))
    correct = classifier.correct(of_any_height(200, seed + 50))
    accuracies.append(correct.mean())

  assert np.mean(accuracies) > 0.95  # 0.92 without the scaled curves


def test_a_further_label_leaves_the_line_between_two_labels_where_it_was():
  two, test = clips((4, 7), 160, 1), clips((4, 7), 400, 101)
  large = rising([5] * 80, 10)
  large[..., 0] *= 10  # as a jaw drops
  three = LabeledCurves(
    np.concatenate([two.curves, large]),
    np.concatenate([two.labels, np.full(80, 2)]),
  )
  weak = 0.4 * test.curves  # near the line: some are misnamed

  of_three = LabelClassifier(three)

  np.testing.assert_array_equal(of_three(weak), LabelClassifier(two)(weak))
  np.testing.assert_array_equal(of_three(large), 2)


def test_random_labels_are_predicted_at_chance():
  random = np.random.default_rng(0)
  train, test = clips((4, 9), 200, 0), clips((4, 9), 200, 1)
  train = LabeledCurves(train.curves, random.permutation(train.labels))
  test = LabeledCurves(test.curves, random.permutation(test.labels))

  correct = LabelClassifier(train).correct(test)

  # Half, give or take three standard errors of sqrt(0.25 / 200).
  np.testing.assert_allclose(correct.mean(), 0.5, atol=0.11)


def test_simulated_smiles_are_mostly_classified_correctly():
  def simulated(number, seed):
    labels = np.arange(number) % 2
    units = [
      smile.action_units(
        smile.simulate(
          smile.LABELS[label], np.random.default_rng([seed, i]), FRAMES
        )
      )
      for i, label in enumerate(labels)
    ]
    return LabeledCurves(np.stack(units), labels)

  correct = LabelClassifier(simulated(300, 0)).correct(simulated(200, 1))

  assert 0.85 < correct.mean() < 1  # the labels overlap


def face(seed=0, frames=4):
  """The landmarks of a face that does not move."""
  points = np.random.default_rng(seed).uniform(0, 60, (68, 2))
  points[36], points[45] = (10, 20), (50, 20)  # the eyes, 40 apart
  return np.tile(points, (1, frames, 1, 1))


def test_curves_are_changes_of_distances_in_interocular_distances():
  points, units = face(), np.full((1, 4, 2), 3.0)
  points[0, :, 48], points[0, :, 54] = (20, 50), (40, 50)
  points[0, 1:, 54] += (8, 0)  # wider by 8 of 40
  for upper, lower in ((61, 67), (62, 66), (63, 65)):
    points[0, :, lower] = points[0, :, upper]
    points[0, 2, lower] += (3, 4)  # apart by 5 of 40 in one frame

  curves = label_accuracy.movement_curves(points, units)

  assert curves.shape == (1, 4, 8)
  np.testing.assert_allclose(curves[0, :, 0], [0, 0.2, 0.2, 0.2], atol=1e-12)
  np.testing.assert_allclose(curves[0, :, 1], [0, 0, 0.125, 0], atol=1e-12)
  # Eyelids, brows and chin do not move; the mouth corner does.
  assert np.ptp(curves[0, :, 2]) > 0.001
  np.testing.assert_allclose(curves[0, :, 3:6], 0, atol=1e-12)
  np.testing.assert_array_equal(curves[..., 6:], units)


@hypothesis.given(
  angle=st.floats(-3, 3),
  scale=st.floats(0.2, 5),
  shift=st.floats(-100, 100),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_position_size_and_rotation_of_the_head_do_not_matter(
  angle, scale, shift, seed
):
  random = np.random.default_rng(seed)
  points = face(seed) + random.normal(0, 1, (1, 4, 68, 2))
  units = np.zeros((1, 4, 2))
  cos, sin = scale * np.cos(angle), scale * np.sin(angle)
  # The head also moves from frame to frame.
  moved = points @ np.array([[cos, sin], [-sin, cos]]) + shift
  moved = moved + random.normal(0, 9, (1, 4, 1, 2))

  np.testing.assert_allclose(
    label_accuracy.movement_curves(moved, units),
    label_accuracy.movement_curves(points, units),
    atol=1e-9,
  )


def test_clips_that_cannot_be_classified_are_refused():
  two, one = clips((4, 9), 20, 0), clips((4,), 20, 0)
  with pytest.raises(ValueError, match=r"have the label \[0\]"):
    LabelClassifier(one)
  classifier = LabelClassifier(two)
  with pytest.raises(ValueError, match=r"clips have labels \[2\]"):
    classifier.correct(clips((4, 9, 14), 20, 0))
  with pytest.raises(ValueError, match="no clips to classify"):
    classifier.correct(LabeledCurves(two.curves[:0], two.labels[:0]))
  with pytest.raises(ValueError, match=r"32 frames of 2 curves .* 16 of 2"):
    classifier(two.curves[:, :16])


def test_a_missing_scikit_learn_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)

  with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
    LabelClassifier(clips((4, 9), 20, 0))

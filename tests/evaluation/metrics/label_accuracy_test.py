"""A judge of labels, on curves whose labels are known."""

import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.evaluation.metrics import label_accuracy
from cmm_jax.evaluation.metrics.label_accuracy import Labelled
from cmm_jax.virtual_face import smile

FRAMES = 32


def rising(onsets, seed=0):
  """Two noisy curves per clip that rise at a frame, to any height."""
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
  return Labelled(rising(onsets, seed), labels)


@pytest.mark.parametrize("onsets", [(4, 9), (3, 8, 13), (2, 6, 10, 14, 18)])
def test_smiles_that_start_at_other_times_are_told_apart(onsets):
  train, test = clips(onsets, 120, 0), clips(onsets, 60, 1)
  obeying = clips(onsets, 30, 2)
  late = Labelled(rising([onsets[-1]] * 30, 3), obeying.labels)

  found = label_accuracy.obedience(train, test, obeying)
  ignoring = label_accuracy.obedience(train, test, late)

  assert found.accuracy > 0.95 and found.agreement > 0.95
  np.testing.assert_allclose(found.chance, 1 / len(onsets))
  # Each generated clip is of the last label, whichever was asked for.
  np.testing.assert_array_equal(
    ignoring.generated, obeying.labels == len(onsets) - 1
  )
  assert ignoring.accuracy == found.accuracy


def test_when_a_smile_starts_tells_whatever_its_height():
  def of_any_height(number, seed):
    made = clips((4, 7), number, seed)
    heights = np.random.default_rng(seed).lognormal(0, 1.5, (number, 1, 1))
    return Labelled(heights * made.curves, made.labels)

  accuracies = []
  for seed in range(3):
    test = of_any_height(200, seed + 50)
    found = label_accuracy.obedience(of_any_height(200, seed), test, test)
    accuracies.append(found.accuracy)

  assert np.mean(accuracies) > 0.95  # 0.92 by the curves' heights alone


def test_labels_that_tell_nothing_are_judged_by_chance():
  random = np.random.default_rng(0)
  train, test = clips((4, 9), 200, 0), clips((4, 9), 200, 1)
  train = Labelled(train.curves, random.permutation(train.labels))
  test = Labelled(test.curves, random.permutation(test.labels))

  found = label_accuracy.obedience(train, test, test)

  # Half, give or take three deviations of sqrt(0.25 / 200).
  np.testing.assert_allclose(found.accuracy, 0.5, atol=0.11)
  assert found.agreement == found.accuracy
  assert found.chance == 0.5


def test_the_simulated_kinds_of_smiles_are_told_apart():
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
    return Labelled(np.stack(units), labels)

  test = simulated(200, 1)
  found = label_accuracy.obedience(simulated(300, 0), test, test)

  assert 0.85 < found.accuracy < 1  # the kinds overlap


def face(seed=0, frames=4):
  """A face's points that stay where they are."""
  points = np.random.default_rng(seed).uniform(0, 60, (68, 2))
  points[36], points[45] = (10, 20), (50, 20)  # the eyes, 40 apart
  return np.tile(points, (1, frames, 1, 1))


def test_curves_are_distances_since_the_first_frame_in_eye_distances():
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
  # Lids, brows and chin stay; the corner's way to the eye does not.
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
def test_place_size_and_turn_of_the_head_play_no_part(
  angle, scale, shift, seed
):
  random = np.random.default_rng(seed)
  points = face(seed) + random.normal(0, 1, (1, 4, 68, 2))
  units = np.zeros((1, 4, 2))
  cos, sin = scale * np.cos(angle), scale * np.sin(angle)
  # Each frame's head also wanders, as one.
  moved = points @ np.array([[cos, sin], [-sin, cos]]) + shift
  moved = moved + random.normal(0, 9, (1, 4, 1, 2))

  np.testing.assert_allclose(
    label_accuracy.movement_curves(moved, units),
    label_accuracy.movement_curves(points, units),
    atol=1e-9,
  )


def test_clips_that_cannot_be_judged_are_refused():
  two, one = clips((4, 9), 20, 0), clips((4,), 20, 0)
  with pytest.raises(ValueError, match=r"of one label, \[0\]"):
    label_accuracy.obedience(one, two, two)
  with pytest.raises(ValueError, match=r"generated clips have labels \[2\]"):
    label_accuracy.obedience(two, two, clips((4, 9, 14), 20, 0))
  with pytest.raises(ValueError, match="no test clips to judge"):
    label_accuracy.obedience(two, Labelled(two.curves[:0], two.labels[:0]), two)
  with pytest.raises(ValueError, match=r"32 frames of 2 curves .* 16 of 2"):
    label_accuracy.Judge(two)(two.curves[:, :16])


def test_a_missing_scikit_learn_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)

  with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
    label_accuracy.Judge(clips((4, 9), 20, 0))

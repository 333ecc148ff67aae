"""The curves that the label classifier by pixels reads, worked by hand."""

import numpy as np

from cmm_jax.evaluation.metrics import pixel_label_accuracy
from cmm_jax.evaluation.metrics.label_accuracy import (
  LabelClassifier,
  LabeledCurves,
)


def test_a_curve_is_the_change_of_a_cells_gray_level():
  frames = np.full((1, 3, 16, 16, 3), 100, np.uint8)
  frames[0, 1, 2, 0, 0] = 202  # one of 2 x 2 pixels, one of three channels
  frames[0, 2, 14:, 14:] = 49  # the last cell, all of it

  curves = pixel_label_accuracy.pixel_curves(frames)

  assert curves.shape == (1, 3, 64)
  expected = np.zeros((3, 64))
  expected[1, 8] = 102 / 255 / 12
  expected[2, 63] = -51 / 255
  np.testing.assert_allclose(curves[0], expected, atol=1e-12)


def test_the_place_of_a_change_tells_the_label_and_the_face_does_not():
  random = np.random.default_rng(0)

  def clips(number):
    labels = np.arange(number) % 2
    faces = random.integers(60, 190, (number, 1, 16, 16, 3))
    frames = np.repeat(faces, 6, axis=1)
    for clip, label in zip(frames, labels, strict=True):
      clip[3:, 4 * label : 4 * label + 4] += random.integers(5, 40)
    noise = random.normal(0, 3, frames.shape)
    frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
    return LabeledCurves(pixel_label_accuracy.pixel_curves(frames), labels)

  classifier = LabelClassifier(clips(40))

  assert classifier.correct(clips(40)).mean() > 0.9

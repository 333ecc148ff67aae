"""Rendered frames: their alignment, their landmarks, their eyes."""

import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.preprocess import align
from tests.virtual_face import faces


def test_closing_the_eyes_brings_the_lids_together():
  upper, lower = [37, 38, 43, 44], [41, 40, 47, 46]

  def opening(points):
    return np.linalg.norm(points[upper] - points[lower], axis=-1).mean()

  wide = opening(faces.render()[1])
  shut = opening(faces.render(closing=1)[1])
  assert shut < 0.35 * wide


@pytest.mark.parametrize("size", [64, 128])
def test_frames_are_aligned_as_real_faces_are(size):
  _, points = faces.render(size=size)
  eyes, mouth = landmarks.eyes_and_mouth(points)
  center = (size - 1) / 2
  np.testing.assert_allclose(eyes, [center, align.EYES_ROW * size], atol=1e-3)
  assert mouth[0] == pytest.approx(center, abs=1e-3)
  assert mouth[1] - eyes[1] == pytest.approx(
    align.EYES_TO_MOUTH * size, abs=1e-3
  )


def test_an_image_shows_the_eyes_where_its_landmarks_are():
  # The pupils are the darkest parts of the eyes and lie between the corners.
  frame, points = faces.render()
  gray = frame.mean(axis=-1)
  for eye in (landmarks.RIGHT_EYE, landmarks.LEFT_EYE):
    x, y = points[list(eye)].mean(axis=0).round().astype(int)
    around = gray[y - 1 : y + 2, x - 1 : x + 2]
    cheek = gray[y + 9, x]
    assert around.min() < 0.6 * cheek

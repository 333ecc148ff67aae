"""Landmark error, worked by hand, and dlib's landmarks of rendered faces."""

import numpy as np

from cmm_jax.evaluation.metrics import landmarks
from cmm_jax.virtual_face import clips


def test_the_error_is_the_mean_distance_of_the_landmarks_inside_the_frame():
  truth = np.full((2, 68, 2), 30.0)
  truth[:, 0] = 64  # outside a frame of 64 pixels
  predicted = truth.copy()
  predicted[0, 1] += (3, 4)  # by 5
  predicted[:, 0] += 100

  found = landmarks.landmark_error(predicted, truth, 64)

  np.testing.assert_allclose(found, 5 / (2 * 67))


def test_the_box_is_a_square_around_the_landmarks():
  points = np.full((68, 2), 30.0)
  points[0], points[1] = (10, 20), (50, 40)  # 40 wide, 20 high

  np.testing.assert_array_equal(landmarks.face_box(points), [10, 10, 50, 50])


def test_the_landmarks_of_rendered_faces_are_predicted_within_two_pixels():
  (clip,) = clips.render_identity(0, 0, {"posed": 1}, 2, 64)
  box = landmarks.face_box(clip.landmarks[0])

  predicted = landmarks.predict(clip.frames, np.stack([box, box]))

  assert landmarks.landmark_error(predicted, clip.landmarks, 64) < 2

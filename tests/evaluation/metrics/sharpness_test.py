"""Bright and gray pixels, counted by hand."""

import miniature
import numpy as np

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics import sharpness


def test_pixels_are_counted_in_each_image():
  images = np.array(
    [
      [[0, 51, 52], [204, 205, 255]],
      [[0, 0, 0], [0, 0, 130]],
    ],
    np.uint8,
  )

  np.testing.assert_array_equal(sharpness.bright_pixels(images), [2, 0])
  np.testing.assert_array_equal(sharpness.gray_pixels(images), [2, 1])


def test_the_average_of_two_faces_is_grayer_than_either():
  points = np.stack([64 * miniature.neutral_points(0)] * 2)
  points[1, list(landmarks.MOUTH), 1] += 3
  one, other = np.asarray(landmarks.draw(points.astype(np.float32), 64))

  images = np.rint(255 * np.stack([one, (one + other) / 2])).astype(np.uint8)

  bright, mixed_bright = sharpness.bright_pixels(images)
  gray, mixed_gray = sharpness.gray_pixels(images)

  assert mixed_bright < 0.8 * bright
  assert mixed_gray > 1.2 * gray

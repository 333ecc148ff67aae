"""Alignment of a hand-made image and of a public-domain portrait."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from cmm_jax import landmarks
from cmm_jax.preprocess import align, faces


def points_with(eyes, mouth, spread=20.0):
  """Landmarks with the given centers of the eyes and of the mouth."""
  eyes, mouth = np.array(eyes, float), np.array(mouth, float)
  down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
  across = np.array([down[1], -down[0]])  # perpendicular
  points = np.tile((eyes + mouth) / 2, (68, 1))
  for corner, side in zip(landmarks.EYE_CORNERS, (-2, -1, 1, 2), strict=True):
    points[corner] = eyes + side * spread * across
  for corner, side in zip(landmarks.MOUTH_CORNERS, (-1, 1), strict=True):
    points[corner] = mouth + side * spread * across
  return points.astype(np.float32)


def center(points, which):
  return points[list(which)].mean(axis=0)


angles = st.floats(-180, 180)
sizes = st.sampled_from([32, 64, 128])


@hypothesis.given(angle=angles, length=st.floats(20, 400), size=sizes)
@hypothesis.settings(deadline=None)
def test_the_eyes_are_above_the_mouth_in_the_middle_column(angle, length, size):
  angle = np.deg2rad(angle)
  eyes = np.array([300.0, 200.0])
  mouth = eyes + length * np.array([np.sin(angle), np.cos(angle)])
  points = points_with(eyes, mouth)

  frame = align.similarity(points, size).transform(points)

  middle = (size - 1) / 2
  np.testing.assert_allclose(
    center(frame, landmarks.EYE_CORNERS), [middle, 0.28 * size], atol=0.01
  )
  np.testing.assert_allclose(
    center(frame, landmarks.MOUTH_CORNERS),
    [middle, (0.28 + 27 / 64) * size],
    atol=0.01,
  )
  # Not mirrored: the person's right eye is on the left of the image.
  assert frame[36, 0] < frame[45, 0]


def test_the_scale_is_that_of_the_neutral_face():
  neutral = points_with([100, 100], [100, 154])
  smile = points_with([100, 100], [100, 148])  # the mouth is 6 of 54 higher

  frame = align.similarity(smile, 64, neutral).transform(smile)

  # 27 pixels for 54, so 24 for 48.
  np.testing.assert_allclose(
    center(frame, landmarks.MOUTH_CORNERS), [31.5, 0.28 * 64 + 24], atol=1e-3
  )


@hypothesis.given(
  angle=st.floats(-40, 40), length=st.floats(30, 500), size=sizes
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_pixels_and_landmarks_move_alike(angle, length, size):
  angle = np.deg2rad(angle)
  eyes = np.array([620.0, 300.0])
  mouth = eyes + length * np.array([np.sin(angle), np.cos(angle)])
  points = points_with(eyes, mouth, spread=length / 5)
  points[30] = eyes + 0.6 * (mouth - eyes) + [3.3, 1.7]
  scale = align.EYES_TO_MOUTH * size / length
  # A blurred dot, 1.5 pixels wide in the frame and no narrower in the image.
  width = max(1.5, 1.5 / scale)
  rows, columns = np.mgrid[:1000, :1240]
  squares = (columns - points[30, 0]) ** 2 + (rows - points[30, 1]) ** 2
  dot = np.rint(255 * np.exp(-squares / (2 * width**2))).astype(np.uint8)

  frame, moved = align.align(np.stack([dot] * 3, -1), points, size)

  light = frame[..., 0].astype(float)
  rows, columns = np.mgrid[:size, :size]
  found = np.array([(light * columns).sum(), (light * rows).sum()])
  np.testing.assert_allclose(found / light.sum(), moved[30], atol=0.1)


def test_a_face_that_lies_as_wanted_is_left_alone():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (64, 64, 3), np.uint8)
  points = points_with([31.5, 0.28 * 64], [31.5, 0.28 * 64 + 27], spread=8)

  frame, moved = align.align(image, points, 64)

  np.testing.assert_allclose(frame.astype(int), image.astype(int), atol=1)
  np.testing.assert_allclose(moved, points, atol=1e-4)


def test_downscaling_is_antialiased():
  # Black and white columns, one pixel each, become gray at a quarter.
  image = np.zeros((400, 400, 3), np.uint8)
  image[:, ::2] = 255
  points = points_with([200, 150], [200, 150 + 4 * 27], spread=30)

  frame, _ = align.align(image, points, 64)

  inner = frame[8:-8, 8:-8].astype(float)
  np.testing.assert_allclose(inner, 127.5, atol=3)


def test_outside_the_image_the_frame_is_black():
  image = np.full((60, 60, 3), 255, np.uint8)
  points = points_with([10, 20], [10, 47], spread=4)

  frame, _ = align.align(image, points, 64)

  # Column 31.5 of the frame is column 10 of the image: 21 columns are black.
  assert frame[32, :20].max() == 0
  assert frame[32, 23:].min() == 255


def test_landmarks_that_coincide_are_rejected():
  with pytest.raises(ValueError, match="detect them again"):
    align.similarity(np.zeros((68, 2), np.float32), 64)


def test_a_rotated_portrait_becomes_upright():
  image = np.asarray(
    Image.fromarray(data.astronaut()).rotate(
      15, Image.Resampling.BICUBIC, center=(226, 125)
    )
  )
  detector = faces.FaceDetector()
  points = faces.largest(detector.detect(image)).points

  frame, moved = align.align(image, points, 128)

  np.testing.assert_allclose(
    center(moved, landmarks.EYE_CORNERS), [63.5, 0.28 * 128], atol=1e-3
  )
  np.testing.assert_allclose(
    center(moved, landmarks.MOUTH_CORNERS), [63.5, 0.28 * 128 + 54], atol=1e-3
  )
  # Detected in the frame, they are there too.
  again = faces.largest(detector.detect(frame)).points
  eyes = np.linalg.norm(moved[36] - moved[45])
  assert np.linalg.norm(again - moved, axis=1).mean() < 0.04 * eyes
  # The frame equals that of the portrait before its rotation.
  upright = faces.largest(detector.detect(data.astronaut())).points
  straight, _ = align.align(data.astronaut(), upright, 128)
  assert np.abs(frame.astype(float) - straight).mean() < 15

"""Alignment, on a drawn picture and on a public-domain portrait."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from cmm_jax import landmarks
from cmm_jax.preprocess import align, faces


def points_with(eyes, mouth, spread=20.0):
  """Landmarks whose eyes' and mouth's centres, in x and y, are given."""
  eyes, mouth = np.array(eyes, float), np.array(mouth, float)
  down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
  across = np.array([down[1], -down[0]])  # x turned as y is turned
  points = np.tile((eyes + mouth) / 2, (68, 1))
  for corner, side in zip(landmarks.EYE_CORNERS, (-2, -1, 1, 2), strict=True):
    points[corner] = eyes + side * spread * across
  for corner, side in zip(landmarks.MOUTH_CORNERS, (-1, 1), strict=True):
    points[corner] = mouth + side * spread * across
  return points.astype(np.float32)


def centre(points, which):
  return points[list(which)].mean(axis=0)


angles = st.floats(-180, 180)
sizes = st.sampled_from([32, 64, 128])


@hypothesis.given(angle=angles, length=st.floats(20, 400), size=sizes)
@hypothesis.settings(deadline=None)
def test_eyes_and_mouth_lie_one_above_the_other_in_the_middle(
  angle, length, size
):
  turn = np.deg2rad(angle)
  eyes = np.array([300.0, 200.0])
  mouth = eyes + length * np.array([np.sin(turn), np.cos(turn)])

  move = align.similarity(points_with(eyes, mouth), size)
  frame = move.points(points_with(eyes, mouth))

  middle = (size - 1) / 2
  np.testing.assert_allclose(
    centre(frame, landmarks.EYE_CORNERS), [middle, 0.28 * size], atol=0.01
  )
  np.testing.assert_allclose(
    centre(frame, landmarks.MOUTH_CORNERS),
    [middle, (0.28 + 27 / 64) * size],
    atol=0.01,
  )
  # Not mirrored: the person's right eye stays on the picture's left.
  assert frame[36, 0] < frame[45, 0]


def test_a_smile_is_scaled_by_the_neutral_face():
  neutral = points_with([100, 100], [100, 154])
  smile = points_with([100, 100], [100, 148])  # the mouth is 6 of 54 higher

  frame = align.similarity(smile, 64, neutral).points(smile)

  # 27 pixels for 54, so 24 for 48.
  np.testing.assert_allclose(
    centre(frame, landmarks.MOUTH_CORNERS), [31.5, 0.28 * 64 + 24], atol=1e-3
  )


@hypothesis.given(
  angle=st.floats(-40, 40), length=st.floats(30, 500), size=sizes
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_pixels_go_where_points_go(angle, length, size):
  turn = np.deg2rad(angle)
  eyes = np.array([620.0, 300.0])
  mouth = eyes + length * np.array([np.sin(turn), np.cos(turn)])
  points = points_with(eyes, mouth, spread=length / 5)
  points[30] = eyes + 0.6 * (mouth - eyes) + [3.3, 1.7]
  scale = align.EYES_TO_MOUTH * size / length
  # A soft dot, 1.5 pixels wide in the frame and at least as much here.
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
  picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
  points = points_with([31.5, 0.28 * 64], [31.5, 0.28 * 64 + 27], spread=8)

  frame, moved = align.align(picture, points, 64)

  np.testing.assert_allclose(frame.astype(int), picture.astype(int), atol=1)
  np.testing.assert_allclose(moved, points, atol=1e-4)


def test_what_gets_smaller_is_averaged():
  # Columns of black and white, a pixel each, become grey at a quarter.
  picture = np.zeros((400, 400, 3), np.uint8)
  picture[:, ::2] = 255
  points = points_with([200, 150], [200, 150 + 4 * 27], spread=30)

  frame, _ = align.align(picture, points, 64)

  inner = frame[8:-8, 8:-8].astype(float)
  np.testing.assert_allclose(inner, 127.5, atol=3)


def test_beyond_the_picture_the_frame_is_black():
  picture = np.full((60, 60, 3), 255, np.uint8)
  points = points_with([10, 20], [10, 47], spread=4)

  frame, _ = align.align(picture, points, 64)

  # Column 31.5 of the frame is column 10 of the picture: 21 columns are black.
  assert frame[32, :20].max() == 0
  assert frame[32, 23:].min() == 255


def test_points_on_one_place_are_refused():
  with pytest.raises(ValueError, match="find them again"):
    align.similarity(np.zeros((68, 2), np.float32), 64)


def test_a_turned_portrait_comes_out_upright():
  picture = np.asarray(
    Image.fromarray(data.astronaut()).rotate(
      15, Image.Resampling.BICUBIC, center=(226, 125)
    )
  )
  finder = faces.Finder()
  points = faces.largest(finder.find(picture)).points

  frame, moved = align.align(picture, points, 128)

  np.testing.assert_allclose(
    centre(moved, landmarks.EYE_CORNERS), [63.5, 0.28 * 128], atol=1e-3
  )
  np.testing.assert_allclose(
    centre(moved, landmarks.MOUTH_CORNERS), [63.5, 0.28 * 128 + 54], atol=1e-3
  )
  # A second look at the frame finds them there too.
  again = faces.largest(finder.find(frame)).points
  eyes = np.linalg.norm(moved[36] - moved[45])
  assert np.linalg.norm(again - moved, axis=1).mean() < 0.04 * eyes
  # The picture above is turned, the frame is not.
  unturned = faces.largest(finder.find(data.astronaut())).points
  straight, _ = align.align(data.astronaut(), unturned, 128)
  assert np.abs(frame.astype(float) - straight).mean() < 15

"""The 68 landmarks: groups, mirroring, distances, landmark images."""

import hypothesis
import miniature
import numpy as np
from hypothesis import strategies as st

from cmm_jax import landmarks

CONTOURS = (*landmarks.OPEN_CONTOURS, *landmarks.CLOSED_CONTOURS)


def face_in(size, seed=0):
  return (size * miniature.neutral_points(seed)).astype(np.float32)


def test_every_point_belongs_to_one_contour():
  points = [point for contour in CONTOURS for point in contour]

  assert points == list(range(landmarks.NUM_POINTS))


def test_mirroring_twice_changes_nothing():
  np.testing.assert_array_equal(
    landmarks.MIRROR[landmarks.MIRROR], np.arange(68)
  )
  points = face_in(64)

  twice = landmarks.mirror(landmarks.mirror(points, 64), 64)

  np.testing.assert_allclose(twice, points, atol=1e-5)


def test_mirroring_maps_each_point_to_its_counterpart_on_a_symmetric_face():
  points = face_in(64)
  symmetric = (points + landmarks.mirror(points, 64)) / 2

  reflected = symmetric * [-1, 1] + [63, 0]

  # The point of a symmetric face that is nearest to each reflected point.
  distances = np.linalg.norm(reflected[:, None] - symmetric[None], axis=-1)
  np.testing.assert_array_equal(distances.argmin(axis=1), landmarks.MIRROR)


def test_mirroring_is_batched():
  clips = np.stack([face_in(64, seed) for seed in range(6)])
  clips = clips.reshape(2, 3, 68, 2)

  mirrored = landmarks.mirror(clips, 64)

  np.testing.assert_array_equal(
    mirrored[1, 2], landmarks.mirror(clips[1, 2], 64)
  )


def test_the_centers_of_eyes_and_mouth_are_those_of_their_corners():
  points = np.zeros((2, 68, 3))
  # Eye corners at x = 10, 20, 40, 50; mouth corners at x = 20, 38.
  points[1, [36, 39, 42, 45]] = [[x, 5, 1] for x in (10, 20, 40, 50)]
  points[1, [48, 54]] = [[20, 35, 2], [38, 37, 4]]

  eyes, mouth = landmarks.eyes_and_mouth(points)

  np.testing.assert_allclose(eyes, [[0, 0, 0], [30, 5, 1]])
  np.testing.assert_allclose(mouth, [[0, 0, 0], [29, 36, 3]])


def test_the_interocular_distance_is_between_the_outer_eye_corners():
  points = np.zeros((2, 68, 2))
  points[1, 36], points[1, 45] = [10, 20], [40, 60]  # 30 and 40 apart: 50

  np.testing.assert_allclose(landmarks.interocular_distance(points), [0, 50])


def landmark_image(points, size):
  return np.asarray(landmarks.draw(points, size))


@hypothesis.given(seed=st.integers(0, 10**6), size=st.sampled_from([32, 64]))
@hypothesis.settings(max_examples=20, deadline=None)
def test_drawing_mirrored_landmarks_mirrors_the_landmark_image(seed, size):
  points = face_in(size, seed)

  mirrored = landmark_image(landmarks.mirror(points, size), size)

  np.testing.assert_allclose(
    mirrored, landmark_image(points, size)[:, ::-1], atol=1e-4
  )


def only(contour, places):
  """All points outside the image, except those of one contour."""
  points = np.full((68, 2), -1000.0, np.float32)
  points[list(contour)] = places
  return points


def test_a_line_along_a_row_of_pixels_is_in_that_row_only():
  places = np.stack([np.linspace(4, 28, 17), np.full(17, 9.0)], 1)

  image = landmark_image(only(landmarks.JAW, places), 32)

  np.testing.assert_allclose(image[9, 5:28], 1, atol=0.02)
  assert image[:9].max() == 0 and image[10:].max() == 0


def test_a_line_between_two_rows_is_gray_in_both():
  places = np.stack([np.linspace(4, 28, 17), np.full(17, 9.5)], 1)

  image = landmark_image(only(landmarks.JAW, places), 32)

  np.testing.assert_allclose(image[9:11, 6:27], 0.5, atol=0.01)
  assert image[:9].max() == 0 and image[11:].max() == 0


@hypothesis.given(place=st.floats(4, 27, width=32), upright=st.booleans())
@hypothesis.settings(max_examples=40, deadline=None)
def test_a_line_has_its_brightness_and_position_to_a_thousandth_of_a_pixel(
  place, upright
):
  places = np.stack([np.linspace(4, 28, 17), np.full(17, place)], 1)
  if upright:
    places = places[:, ::-1]

  image = landmark_image(only(landmarks.JAW, places), 32)
  across = image[16] if upright else image[:, 16]

  np.testing.assert_allclose(across.sum(), 1, atol=0.02)
  center = (across * np.arange(32)).sum() / across.sum()
  assert abs(center - place) < 1e-3


def test_slanted_lines_are_not_displaced():
  random = np.random.default_rng(0)
  angles = random.uniform(0, np.pi, 200)
  middles = 15.5 + random.uniform(-3, 3, (200, 1, 2))
  ways = np.stack([np.cos(angles), np.sin(angles)], 1)[:, None]
  lines = middles + np.linspace(-8, 8, 17)[:, None] * ways
  points = np.stack([only(landmarks.JAW, line) for line in lines])

  images = landmark_image(points, 32)

  rows, columns = np.mgrid[:32, :32]
  centers = [(images * place).sum((1, 2)) for place in (columns, rows)]
  centers = np.stack(centers, 1) / images.sum((1, 2))[:, None]
  np.testing.assert_allclose(centers, middles[:, 0], atol=0.02)
  # A line of 16 pixels, whatever its slant.
  np.testing.assert_allclose(images.sum((1, 2)), 16, rtol=0.02)


def test_contours_of_eyes_and_lips_are_closed_and_others_open():
  x, y = [10, 12, 14, 14, 12, 10], [10, 10, 10, 12, 12, 12]
  places = np.stack([x, y], 1)

  eye = landmark_image(only(landmarks.LEFT_EYE, places), 32)
  brow = landmark_image(only(landmarks.LEFT_BROW, places[:5]), 32)

  assert eye[11, 10] > 0.9  # on the edge from the last point to the first
  assert brow[11, 11] == 0 and brow[11, 14] > 0.9


def test_points_outside_the_image_are_not_drawn():
  image = landmarks.draw(face_in(64) - 1000, 64)

  assert image.shape == (64, 64) and image.dtype == np.float32
  assert image.max() == 0


def test_landmark_images_are_in_zero_to_one_and_independent_of_their_batch():
  clips = np.stack([face_in(64, seed) for seed in range(6)])

  images = landmark_image(clips.reshape(2, 3, 68, 2), 64)

  assert images.shape == (2, 3, 64, 64)
  assert images.min() == 0 and 0.9 < images.max() <= 1
  np.testing.assert_allclose(
    images[1, 2], landmark_image(clips[5], 64), atol=1e-6
  )


def test_a_movement_of_a_tenth_of_a_pixel_changes_the_image():
  points = face_in(64)
  moved = points.copy()
  moved[landmarks.MOUTH_CORNERS[0]] += 0.1

  assert (
    np.abs(landmark_image(moved, 64) - landmark_image(points, 64)).max() > 0.02
  )

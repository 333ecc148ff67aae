"""The 68 points: groups, mirror image, drawing."""

import hypothesis
import miniature
import numpy as np
from hypothesis import strategies as st

from cmm_jax import landmarks

GROUPS = (*landmarks.OPEN_LINES, *landmarks.CLOSED_LINES)


def face_in(size, seed=0):
  return (size * miniature.neutral_points(seed)).astype(np.float32)


def test_the_groups_hold_every_point_once():
  points = [point for group in GROUPS for point in group]

  assert points == list(range(landmarks.NUM_POINTS))


def test_mirroring_twice_changes_nothing():
  np.testing.assert_array_equal(
    landmarks.MIRROR[landmarks.MIRROR], np.arange(68)
  )
  points = face_in(64)

  twice = landmarks.mirror(landmarks.mirror(points, 64), 64)

  np.testing.assert_allclose(twice, points, atol=1e-5)


def test_the_mirror_takes_each_point_to_the_one_across_an_even_face():
  points = face_in(64)
  even = (points + landmarks.mirror(points, 64)) / 2

  across = even * [-1, 1] + [63, 0]

  # The point of an even face that lies nearest to the mirrored place.
  gaps = np.linalg.norm(across[:, None] - even[None], axis=-1)
  np.testing.assert_array_equal(gaps.argmin(axis=1), landmarks.MIRROR)


def test_the_mirror_takes_any_number_of_frames():
  clips = np.stack([face_in(64, seed) for seed in range(6)])
  clips = clips.reshape(2, 3, 68, 2)

  mirrored = landmarks.mirror(clips, 64)

  np.testing.assert_array_equal(
    mirrored[1, 2], landmarks.mirror(clips[1, 2], 64)
  )


def drawn(points, size):
  return np.asarray(landmarks.draw(points, size))


@hypothesis.given(seed=st.integers(0, 10**6), size=st.sampled_from([32, 64]))
@hypothesis.settings(max_examples=20, deadline=None)
def test_drawing_mirrored_points_is_mirroring_the_drawing(seed, size):
  points = face_in(size, seed)

  mirrored = drawn(landmarks.mirror(points, size), size)

  np.testing.assert_allclose(mirrored, drawn(points, size)[:, ::-1], atol=1e-4)


def nowhere_but(line, places):
  """All points outside of the image, but those of one line."""
  points = np.full((68, 2), -1000.0, np.float32)
  points[list(line)] = places
  return points


def test_a_line_along_a_row_lights_that_row_alone():
  places = np.stack([np.linspace(4, 28, 17), np.full(17, 9.0)], 1)

  image = drawn(nowhere_but(landmarks.JAW, places), 32)

  np.testing.assert_allclose(image[9, 5:28], 1, atol=0.02)
  assert image[:9].max() == 0 and image[10:].max() == 0


def test_a_line_between_two_rows_greys_both():
  places = np.stack([np.linspace(4, 28, 17), np.full(17, 9.5)], 1)

  image = drawn(nowhere_but(landmarks.JAW, places), 32)

  np.testing.assert_allclose(image[9:11, 6:27], 0.5, atol=0.01)
  assert image[:9].max() == 0 and image[11:].max() == 0


@hypothesis.given(place=st.floats(4, 27, width=32), upright=st.booleans())
@hypothesis.settings(max_examples=40, deadline=None)
def test_a_line_is_as_bright_and_where_it_was_asked_for(place, upright):
  places = np.stack([np.linspace(4, 28, 17), np.full(17, place)], 1)
  if upright:
    places = places[:, ::-1]

  image = drawn(nowhere_but(landmarks.JAW, places), 32)
  across = image[16] if upright else image[:, 16]

  np.testing.assert_allclose(across.sum(), 1, atol=0.02)
  centre = (across * np.arange(32)).sum() / across.sum()
  assert abs(centre - place) < 1e-3


def test_slanted_lines_are_not_shifted():
  random = np.random.default_rng(0)
  angles = random.uniform(0, np.pi, 200)
  middles = 15.5 + random.uniform(-3, 3, (200, 1, 2))
  ways = np.stack([np.cos(angles), np.sin(angles)], 1)[:, None]
  lines = middles + np.linspace(-8, 8, 17)[:, None] * ways
  points = np.stack([nowhere_but(landmarks.JAW, line) for line in lines])

  light = drawn(points, 32)

  rows, columns = np.mgrid[:32, :32]
  centres = [(light * place).sum((1, 2)) for place in (columns, rows)]
  centres = np.stack(centres, 1) / light.sum((1, 2))[:, None]
  np.testing.assert_allclose(centres, middles[:, 0], atol=0.02)
  # 16 pixels of line, whatever their slant
  np.testing.assert_allclose(light.sum((1, 2)), 16, rtol=0.02)


def test_only_eyes_and_lips_are_closed():
  x, y = [10, 12, 14, 14, 12, 10], [10, 10, 10, 12, 12, 12]
  places = np.stack([x, y], 1)

  eye = drawn(nowhere_but(landmarks.LEFT_EYE, places), 32)
  brow = drawn(nowhere_but(landmarks.LEFT_BROW, places[:5]), 32)

  assert eye[11, 10] > 0.9  # on the way from the last point to the first
  assert brow[11, 11] == 0 and brow[11, 14] > 0.9


def test_points_outside_of_the_image_are_no_error():
  image = landmarks.draw(face_in(64) - 1000, 64)

  assert image.shape == (64, 64) and image.dtype == np.float32
  assert image.max() == 0


def test_each_drawing_of_a_clip_is_as_it_is_alone_and_within_zero_and_one():
  clips = np.stack([face_in(64, seed) for seed in range(6)])

  images = drawn(clips.reshape(2, 3, 68, 2), 64)

  assert images.shape == (2, 3, 64, 64)
  assert images.min() == 0 and 0.9 < images.max() <= 1
  np.testing.assert_allclose(images[1, 2], drawn(clips[5], 64), atol=1e-6)


def test_a_movement_of_a_tenth_of_a_pixel_is_seen():
  points = face_in(64)
  moved = points.copy()
  moved[landmarks.MOUTH_CORNERS[0]] += 0.1

  assert np.abs(drawn(moved, 64) - drawn(points, 64)).max() > 0.02

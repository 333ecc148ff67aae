"""The 68 points: groups, mirror image, drawing."""

import hypothesis
import numpy as np
from hypothesis import strategies as st

from cmm_jax import landmarks

GROUPS = (*landmarks.OPEN_LINES, *landmarks.CLOSED_LINES)


def face_in(size, seed=0):
  """A rough face, then shaken: jaw, brows, nose, eyes and lips in order."""
  jaw = np.linspace(np.pi, 0, 17)
  turn = np.arange(6) * np.pi / 3
  around = np.arange(12) * np.pi / 6
  inner = np.arange(8) * np.pi / 4
  points = np.concatenate(
    [
      np.stack([0.5 + 0.4 * np.cos(jaw), 0.4 + 0.5 * np.sin(jaw)], 1),
      np.stack([np.linspace(0.18, 0.42, 5), np.full(5, 0.25)], 1),
      np.stack([np.linspace(0.58, 0.82, 5), np.full(5, 0.25)], 1),
      np.stack([np.full(4, 0.5), np.linspace(0.35, 0.5, 4)], 1),
      np.stack([np.linspace(0.43, 0.57, 5), np.full(5, 0.55)], 1),
      np.stack([0.3 - 0.06 * np.cos(turn), 0.35 - 0.03 * np.sin(turn)], 1),
      np.stack([0.7 - 0.06 * np.cos(turn), 0.35 - 0.03 * np.sin(turn)], 1),
      np.stack([0.5 - 0.15 * np.cos(around), 0.72 - 0.07 * np.sin(around)], 1),
      np.stack([0.5 - 0.1 * np.cos(inner), 0.72 - 0.03 * np.sin(inner)], 1),
    ]
  )
  shake = np.random.default_rng(seed).normal(0, 0.01, points.shape)
  return ((points + shake) * size).astype(np.float32)


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


@hypothesis.given(seed=st.integers(0, 10**6), size=st.sampled_from([32, 64]))
@hypothesis.settings(max_examples=20, deadline=None)
def test_drawing_mirrored_points_is_mirroring_the_drawing(seed, size):
  points = face_in(size, seed)

  drawn = landmarks.draw(landmarks.mirror(points, size), size).astype(float)
  flipped = landmarks.draw(points, size)[:, ::-1].astype(float)

  # A place between two of the drawing's fine pixels may be rounded either way.
  assert np.abs(drawn - flipped).mean() < 1
  assert np.corrcoef(drawn.ravel(), flipped.ravel())[0, 1] > 0.99


def nowhere_but(line, places):
  """All points outside of the image, but those of one line."""
  points = np.full((68, 2), -1000.0, np.float32)
  points[list(line)] = places
  return points


def test_a_line_along_a_row_lights_that_row_alone():
  places = np.stack([np.linspace(4, 27, 17), np.full(17, 9.0)], 1)

  image = landmarks.draw(nowhere_but(landmarks.JAW, places), 32)

  np.testing.assert_array_equal(image[9, 5:27], 255)
  assert image[:9].max() == 0 and image[10:].max() == 0


def test_a_line_between_two_rows_greys_both():
  places = np.stack([np.linspace(4, 27, 17), np.full(17, 9.5)], 1)

  image = landmarks.draw(nowhere_but(landmarks.JAW, places), 32).astype(int)

  # Of five fine rows two lie in one and three in the other, or the reverse.
  pair = image[9:11, 6:26]
  np.testing.assert_array_equal(pair.sum(axis=0), 255)
  assert pair.min() == 102  # 255 * 2 / 5


@hypothesis.given(place=st.floats(4, 27), upright=st.booleans())
@hypothesis.settings(max_examples=40, deadline=None)
def test_a_line_is_as_bright_and_where_it_was_asked_for(place, upright):
  places = np.stack([np.linspace(4, 27, 17), np.full(17, place)], 1)
  if upright:
    places = places[:, ::-1]

  image = landmarks.draw(nowhere_but(landmarks.JAW, places), 32)
  across = (image[16] if upright else image[:, 16]) / 255

  np.testing.assert_allclose(across.sum(), 1, atol=0.01)
  centre = (across * np.arange(32)).sum()
  assert abs(centre - place) < 0.101  # half of a fifth of a pixel


def test_slanted_lines_are_not_shifted():
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:32, :32]
  shifts = []
  for _ in range(200):
    angle = rng.uniform(0, np.pi)
    middle = 15.5 + rng.uniform(-3, 3, 2)
    reach = np.linspace(-8, 8, 17)[:, None]
    places = middle + reach * [np.cos(angle), np.sin(angle)]
    light = landmarks.draw(nowhere_but(landmarks.JAW, places), 32) / 255
    centre = np.array([(light * columns).sum(), (light * rows).sum()])
    shifts.append(centre / light.sum() - middle)

  np.testing.assert_allclose(np.mean(shifts, axis=0), 0, atol=0.02)


def test_only_eyes_and_lips_are_closed():
  places = np.stack([np.linspace(4, 27, 6), [4, 4, 4, 4, 4, 27.0]], 1)
  eye = landmarks.draw(nowhere_but(landmarks.LEFT_EYE, places), 32)
  brow = landmarks.draw(nowhere_but(landmarks.LEFT_BROW, places[:5]), 32)

  assert eye[15:17, 15:17].max() > 0  # on the way from the last to the first
  assert brow[6:].max() == 0


def test_points_outside_of_the_image_are_no_error():
  image = landmarks.draw(face_in(64) - 1000, 64)

  assert image.shape == (64, 64) and image.dtype == np.uint8
  assert image.max() == 0

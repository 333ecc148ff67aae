"""The 68 landmarks: groups, mirroring, distances, landmark images, masks."""

import hypothesis
import jax
import miniature
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import spatial
from skimage import draw

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


# --------------------------------------------------------------- resized frames


@hypothesis.given(
  size=st.integers(8, 512), new_size=st.integers(8, 512), seed=st.integers(0)
)
@hypothesis.settings(max_examples=50, deadline=None)
def test_rescaling_there_and_back_changes_nothing(size, new_size, seed):
  points = np.random.default_rng(seed).uniform(-10, size + 10, (3, 68, 2))

  there = landmarks.rescale(points, size, new_size)

  np.testing.assert_allclose(
    landmarks.rescale(there, new_size, size), points, atol=1e-9
  )


def test_rescaled_points_keep_their_place_in_a_resized_frame():
  # An image of 4 pixels covers -0.5 to 3.5, one of 8 covers -0.5 to 7.5, and
  # the center of the first pixel lies between those of the first two.
  corners = np.array([[-0.5, 3.5], [0, 3]])

  found = landmarks.rescale(corners, 4, 8)

  np.testing.assert_allclose(found, [[-0.5, 7.5], [0.5, 6.5]])
  # As a resized image has it: a spot moves to its rescaled place.
  frame = np.zeros((16, 16), np.float32)
  frame[5, 9] = 1
  larger = np.asarray(jax.image.resize(frame, (48, 48), "linear"))
  rows, columns = np.mgrid[:48, :48]
  center = [(larger * axis).sum() / larger.sum() for axis in (columns, rows)]
  np.testing.assert_allclose(
    center, landmarks.rescale(np.array([9.0, 5.0]), 16, 48), atol=1e-4
  )


# -------------------------------------------------------------- the face's mask

OUTLINE = [
  *landmarks.JAW,
  *reversed(landmarks.LEFT_BROW),
  *reversed(landmarks.RIGHT_BROW),
]

masks_of = jax.jit(landmarks.face_mask, static_argnums=1)


def face_mask(points, size):
  return np.asarray(masks_of(points, size))


def distance_to_outline(points, size):
  """Of each pixel to the polygon of jaw and brows, by many points on it."""
  start = points[OUTLINE]
  end = np.roll(start, -1, axis=0)
  share = np.linspace(0, 1, 200)[:, None, None]
  outline = (start + share * (end - start)).reshape(-1, 2)
  rows, columns = np.mgrid[:size, :size]
  pixels = np.stack([columns, rows], -1).reshape(-1, 2)
  distances, _ = spatial.cKDTree(outline).query(pixels)
  return distances.reshape(size, size)


def square(low, high):
  """A face whose outline is a square: jaw below, brows above."""
  points = np.full((68, 2), (low + high) / 2, np.float32)
  points[0], points[1:16], points[16] = [low, low], [low, high], [high, low]
  points[8:16, 0] = high
  points[landmarks.LEFT_BROW] = [high, low]
  points[landmarks.RIGHT_BROW] = [low, low]
  return points


def test_the_mask_of_a_square_face_fades_as_worked_by_hand():
  mask = face_mask(square(40, 60), 100)

  assert (mask[40:61, 40:61] == 1).all()
  # Full up to 2 pixels of 100 beyond the outline, none from 14 on. Half way,
  # at 8, it is one half; at 5, a quarter of the way: 0.75^2 (3 - 2 * 0.75).
  for beyond, wanted in ((2, 1), (5, 0.84375), (8, 0.5), (14, 0), (30, 0)):
    for row, column in (
      (50, 60 + beyond), (50, 40 - beyond), (60 + beyond, 50), (40 - beyond, 50)
    ):  # fmt: skip
      assert mask[row, column] == pytest.approx(wanted, abs=1e-4)
  # Beyond a corner the distance is to the corner: 6 and 8 are 10, a third left.
  assert mask[66, 68] == pytest.approx(7 / 27, abs=1e-4)


@hypothesis.given(
  seed=st.integers(0, 10**6),
  size=st.sampled_from([32, 64]),
  noise=st.sampled_from([0.0, 0.03]),
)
@hypothesis.settings(max_examples=15, deadline=None)
def test_the_mask_is_one_inside_of_the_face_and_zero_far_outside(
  seed, size, noise
):
  points = face_in(size, seed)
  random = np.random.default_rng(seed)
  points = points + random.normal(0, noise * size, points.shape)
  points = points.astype(np.float32)

  mask = face_mask(points, size)

  assert mask.min() >= 0 and mask.max() == 1
  distance = distance_to_outline(points, size)
  inside = draw.polygon2mask((size, size), points[OUTLINE][:, ::-1])
  sure = distance > 0.05  # on the outline itself either is right
  np.testing.assert_array_equal(mask[inside & sure], 1)
  np.testing.assert_array_equal(mask[distance < 0.019 * size], 1)
  far = ~inside & (distance > 0.14 * size)
  np.testing.assert_array_equal(mask[far], 0)
  between = ~inside & (distance > 0.03 * size) & (distance < 0.13 * size)
  assert (mask[between] > 0).all() and (mask[between] < 1).all()


def test_masks_are_batched_and_scale_with_the_frame():
  clips = np.stack([face_in(64, seed) for seed in range(6)])

  masks = face_mask(clips.reshape(2, 3, 68, 2), 64)

  np.testing.assert_allclose(masks[1, 2], face_mask(clips[5], 64), atol=1e-6)
  larger = face_mask(landmarks.rescale(clips[0], 64, 128), 128)
  averaged = larger.reshape(64, 2, 64, 2).mean(axis=(1, 3))
  np.testing.assert_allclose(averaged, masks[0, 0], atol=0.08)


def test_a_mirrored_face_has_the_mirrored_mask():
  points = face_in(64)

  mask = face_mask(landmarks.mirror(points, 64), 64)

  # A pixel on the outline may be on either side of it.
  np.testing.assert_allclose(mask[:, ::-1], face_mask(points, 64), atol=1e-4)

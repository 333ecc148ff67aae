"""Augmentation of clips."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.data import augment

SIZE = 64


@functools.cache
def transform_of(augmentation, size=SIZE):
  """A compiled `f(seed) -> Transform`."""

  def make(seed):
    normals = jax.random.normal(jax.random.key(seed), (augment.NUM_NORMALS,))
    return augment.make_transform(normals, augmentation, size)

  return jax.jit(make)


move_points = jax.jit(augment.transform_points, static_argnums=2)
move_frames = jax.jit(augment.transform_frames)


def spots(points):
  """A black frame with a bright spot of light at each point."""
  rows, columns = np.mgrid[:SIZE, :SIZE]
  light = sum(
    np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    for x, y in points
  )
  return np.repeat(255 * light[..., None], 3, axis=-1).round().astype(np.uint8)


def center_near(frame, point, reach=8):
  """The center of the light around a point."""
  light = np.asarray(frame)[..., 0].astype(float)
  rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
  x, y = point
  light = light * (np.hypot(columns - x, rows - y) < reach)
  return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()


@hypothesis.given(seed=st.integers(0, 2**31 - 1), mirror=st.booleans())
@hypothesis.settings(max_examples=25, deadline=None)
def test_frames_and_points_move_together(seed, mirror):
  settings = augment.Augmentation(mirror=mirror, stretch=0.05, shift=2.0)
  transform = transform_of(settings)(seed)
  points = np.zeros((1, 68, 2), np.float32)
  points[0, [48, 54, 30]] = [20, 40], [44, 42], [31, 20]
  picture = spots(points[0, [48, 54, 30]])[None]

  moved = np.asarray(move_points(transform, points, SIZE))[0]
  seen = move_frames(transform, picture)[0]

  for index in (48, 54, 30):  # mirrored, the mouth's corners change places
    error = np.linalg.norm(center_near(seen, moved[index]) - moved[index])
    assert error < 0.3


def test_a_mirrored_clip_is_its_own_mirror_image(clips):
  clip = clips[0]
  settings = augment.Augmentation(mirror=True)
  seen = set()
  for seed in range(20):
    transform = transform_of(settings)(seed)
    frames = np.asarray(move_frames(transform, clip["frames"]))
    points = np.asarray(move_points(transform, clip["landmarks"], SIZE))
    mirrored = np.array_equal(frames, clip["frames"][:, :, ::-1])
    seen.add(mirrored)
    assert mirrored or np.array_equal(frames, clip["frames"])
    corner = [63, 0] + clip["landmarks"][:, 54] * [-1, 1]
    expected = corner if mirrored else clip["landmarks"][:, 48]
    np.testing.assert_allclose(points[:, 48], expected, atol=1e-5)
  assert seen == {True, False}


def test_colors_vary_between_clips_and_not_within_one():
  make = transform_of(augment.Augmentation(color=0.2))
  gray = np.full((2, SIZE, SIZE, 3), 100, np.uint8)

  one, other = (np.asarray(move_frames(make(seed), gray)) for seed in (0, 1))

  assert one.dtype == np.uint8
  assert (one == one[0, 0, 0]).all()
  assert not np.array_equal(one, gray)
  assert not np.array_equal(one, other)


def test_extreme_colors_saturate_and_do_not_wrap():
  make = transform_of(augment.Augmentation(color=0.2), 8)
  white = np.full((1, 8, 8, 3), 255, np.uint8)

  for seed in range(20):
    assert np.asarray(move_frames(make(seed), white)).min() > 60


def test_parts_move_as_a_whole_about_their_place_in_the_first_frame(clips):
  points = clips[0]["landmarks"]
  transform = transform_of(augment.Augmentation(parts=0.1))(3)

  moved = np.asarray(augment.transform_parts(transform, jnp.asarray(points)))

  mouth = list(augment.landmarks.MOUTH)
  scale = np.asarray(transform.part_scale[-1])
  # Within a part all distances scale alike, in every frame: a smile stays one.
  np.testing.assert_allclose(
    moved[:, mouth] - moved[:1, mouth].mean(axis=1, keepdims=True),
    (points[:, mouth] - points[:1, mouth].mean(axis=1, keepdims=True)) * scale,
    atol=1e-4,
  )
  jaw = list(augment.landmarks.JAW)
  shifts = [
    moved[0, part].mean(axis=0) - points[0, part].mean(axis=0)
    for part in (mouth, jaw)
  ]
  assert np.abs(shifts[0] - shifts[1]).max() > 0.1


@pytest.mark.parametrize("size", [64, 128])
def test_without_augmentation_a_clip_stays_what_it_is(size):
  transform = transform_of(augment.Augmentation(), size)(5)
  random = np.random.default_rng(0)
  frames = random.integers(0, 256, (2, size, size, 3), np.uint8)
  points = random.uniform(0, size, (2, 68, 2)).astype(np.float32)

  np.testing.assert_array_equal(move_frames(transform, frames), frames)
  np.testing.assert_array_equal(move_points(transform, points, size), points)
  np.testing.assert_allclose(
    augment.transform_parts(transform, points), points, atol=1e-5
  )

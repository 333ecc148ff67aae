"""Augmentation of clips."""

import functools
import io

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from hypothesis import strategies as st
from PIL import Image

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
move_frames = jax.jit(augment.transform_frames, static_argnums=2)


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
  seen = move_frames(transform, picture, settings)[0]

  for index in (48, 54, 30):  # mirrored, the mouth's corners change places
    error = np.linalg.norm(center_near(seen, moved[index]) - moved[index])
    assert error < 0.3


def test_a_mirrored_clip_is_its_own_mirror_image(clips):
  clip = clips[0]
  settings = augment.Augmentation(mirror=True)
  seen = set()
  for seed in range(20):
    transform = transform_of(settings)(seed)
    frames = np.asarray(move_frames(transform, clip["frames"], settings))
    points = np.asarray(move_points(transform, clip["landmarks"], SIZE))
    mirrored = np.array_equal(frames, clip["frames"][:, :, ::-1])
    seen.add(mirrored)
    assert mirrored or np.array_equal(frames, clip["frames"])
    corner = [63, 0] + clip["landmarks"][:, 54] * [-1, 1]
    expected = corner if mirrored else clip["landmarks"][:, 48]
    np.testing.assert_allclose(points[:, 48], expected, atol=1e-5)
  assert seen == {True, False}


def test_colors_vary_between_clips_and_not_within_one():
  settings = augment.Augmentation(color=0.2)
  make = transform_of(settings)
  gray = np.full((2, SIZE, SIZE, 3), 100, np.uint8)

  one, other = (
    np.asarray(move_frames(make(seed), gray, settings)) for seed in (0, 1)
  )

  assert one.dtype == np.uint8
  assert (one == one[0, 0, 0]).all()
  assert not np.array_equal(one, gray)
  assert not np.array_equal(one, other)


def test_extreme_colors_saturate_and_do_not_wrap():
  settings = augment.Augmentation(color=0.2)
  make = transform_of(settings, 8)
  white = np.full((1, 8, 8, 3), 255, np.uint8)

  for seed in range(20):
    assert np.asarray(move_frames(make(seed), white, settings)).min() > 60


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
  settings = augment.Augmentation()
  transform = transform_of(settings, size)(5)
  random = np.random.default_rng(0)
  frames = random.integers(0, 256, (2, size, size, 3), np.uint8)
  points = random.uniform(0, size, (2, 68, 2)).astype(np.float32)

  np.testing.assert_array_equal(
    move_frames(transform, frames, settings), frames
  )
  np.testing.assert_array_equal(move_points(transform, points, size), points)
  np.testing.assert_allclose(
    augment.transform_parts(transform, points), points, atol=1e-5
  )


# ------------------------------------------------- light, blur and compression

DEGRADED = augment.Augmentation(light=0.25, blur=0.8, compression=1.5)


def degraded(frames, **changes):
  """Frames [t h w 3] after the given changes of a transform, and no others."""
  still = dict(
    light_gradient=jnp.zeros(2),
    gamma=jnp.ones(()),
    blur=jnp.zeros(()),
    compression=jnp.zeros(()),
  )
  changes = {name: jnp.float32(value) for name, value in changes.items()}
  transform = transform_of(DEGRADED)(0).replace(**still | changes)
  return np.asarray(move_frames(transform, frames, DEGRADED))


def photo():
  """A face, with every detail that 64 pixels can hold."""
  face = Image.fromarray(skimage.data.astronaut()[:256, 96:352])
  return np.asarray(face.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def gaussian(deviation, center):
  """Of each of 64 pixels, normalized."""
  values = np.exp(-0.5 * ((np.arange(SIZE) - center) / deviation) ** 2)
  return values / values.sum()


def test_a_clip_that_is_not_degraded_keeps_its_bits():
  frames = np.stack([photo(), 255 - photo()])
  frames[:, :2] = [[[0, 128, 255]]]  # black and white, too

  np.testing.assert_array_equal(degraded(frames), frames)


def test_the_frames_of_a_clip_are_degraded_alike():
  frames = np.stack([photo(), 255 - photo(), photo()])

  found = degraded(
    frames, light_gradient=[0.2, 0.1], gamma=1.2, blur=0.7, compression=1.0
  )

  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found[0], found[2])
  assert not np.array_equal(found[0], frames[0])


def test_about_half_of_the_clips_are_blurred_and_half_compressed():
  transforms = jax.vmap(transform_of(DEGRADED, 128))(np.arange(2000))

  # In pixels of a 128-pixel frame the largest blur is twice as large.
  for values, largest in (
    (np.asarray(transforms.blur), 1.6),
    (np.asarray(transforms.compression), 1.5),
  ):
    assert values.min() == 0
    assert values.max() == pytest.approx(largest)
    # Half of 2000: five standard deviations of a binomial are 0.056.
    assert abs((values == 0).mean() - 0.5) < 0.056
  both = (np.asarray(transforms.blur) > 0) & (transforms.compression > 0)
  assert abs(both.mean() - 0.25) < 0.05  # independent of each other


def test_the_light_varies_as_much_as_the_setting_says():
  transforms = jax.vmap(transform_of(DEGRADED))(np.arange(2000))

  for values in (*transforms.light_gradient.T, np.log(transforms.gamma)):
    # Normal variates that are limited to 2 deviate by 0.96.
    assert np.std(values) == pytest.approx(0.96 * DEGRADED.light, rel=0.08)
    assert abs(np.mean(values)) < 0.03
    assert np.abs(values).max() == pytest.approx(2 * DEGRADED.light)


@hypothesis.given(x=st.floats(-0.5, 0.5), y=st.floats(-0.5, 0.5))
@hypothesis.settings(max_examples=10, deadline=None)
def test_the_light_changes_by_its_gradient_from_the_middle_to_the_edge(x, y):
  gray = np.full((1, SIZE, SIZE, 3), 80, np.uint8)

  found = degraded(gray, light_gradient=[x, y])[0]

  rows, columns = (np.mgrid[:SIZE, :SIZE] - 31.5) / 31.5  # from -1 to 1
  wanted = 80 * np.exp(x * columns + y * rows)
  assert np.abs(found - wanted[..., None]).max() < 0.51


def test_bright_light_saturates_and_does_not_wrap():
  white = np.full((1, SIZE, SIZE, 3), 250, np.uint8)

  found = degraded(white, light_gradient=[0.5, 0.0])[0]

  assert (found[:, 40:] == 255).all()
  assert (np.diff(found[0, :, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize("gamma", [0.6, 1.7])
def test_gamma_is_the_exponent_of_pixels_in_zero_to_one(gamma):
  ramp = np.arange(256, dtype=np.uint8).reshape(1, 4, 64, 1)
  frames = np.broadcast_to(np.tile(ramp, (1, 16, 1, 1)), (1, SIZE, SIZE, 3))

  found = degraded(frames, gamma=gamma)

  assert np.abs(found - 255 * (frames / 255) ** gamma).max() < 0.51


@pytest.mark.parametrize("deviation", [0.6, 1.5])
def test_a_blurred_spot_is_a_gaussian(deviation):
  frames = np.zeros((3, SIZE, SIZE, 3), np.uint8)
  frames[0, 20, 30] = 255
  frames[1, :, 30] = 255  # a line keeps more digits
  frames[2, 20] = 255

  found = degraded(frames, blur=deviation)

  down, across = gaussian(deviation, 20)[:, None], gaussian(deviation, 30)
  for frame, wanted in zip(
    found, (down * across, across[None, :], down), strict=True
  ):
    wanted = np.broadcast_to(255 * wanted[..., None], frame.shape)
    assert np.abs(frame - wanted).max() < 0.51
  assert found.sum() < frames.sum() * 1.05


@pytest.mark.parametrize(("factor", "quality"), [(1.0, 50), (2.0, 25)])
@pytest.mark.parametrize("colored", [True, False])
def test_compression_is_that_of_jpeg_at_full_color_resolution(
  factor, quality, colored
):
  frames = photo()[None]
  if not colored:
    frames = np.repeat(frames[..., 1:2], 3, axis=-1)
  file = io.BytesIO()
  Image.fromarray(frames[0]).save(file, "JPEG", quality=quality, subsampling=0)
  wanted = np.asarray(Image.open(file)).astype(int)

  found = degraded(frames, compression=factor)[0]

  lost = np.abs(wanted - frames[0])
  error = np.abs(found - wanted)
  assert lost.mean() > 4
  if colored:
    # JPEG rounds luma and chroma to integers first, so that some coefficients
    # are quantized to the next step. With a table of luma for chroma, or steps
    # a tenth longer, the error is above 2.5.
    assert error.mean() < 1.5 and (error > 2).mean() < 0.15
  else:  # luma is an integer before, too
    assert error.mean() < 0.5

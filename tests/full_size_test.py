"""Smiles on a photo's own pixels."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmm_jax import full_size
from cmm_jax.networks import translator
from cmm_jax.preprocess import align

SIDE = 64


def smooth_image(height, width, seed=0):
  """An image without fine detail, so that resampling loses nothing."""
  y, x = np.mgrid[:height, :width] / max(height, width)
  rng = np.random.default_rng(seed)
  waves = [
    np.sin(5 * (a * x + b * y) + c) for a, b, c in rng.normal(size=(3, 3))
  ]
  return (127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)


def similarity(scale, angle=0.0, center=(0.0, 0.0)):
  """Maps `center` of the photo to the center of the frame."""
  c, s = np.cos(angle), np.sin(angle)
  matrix = np.array([[c, s], [-s, c]]) / scale
  middle = np.full(2, (SIDE - 1) / 2)
  return align.Similarity(matrix, middle - matrix @ np.array(center))


def make_photo(height=300, width=400, scale=3.0, angle=0.1, seed=0):
  image = smooth_image(height, width, seed)
  to_frame = similarity(scale, angle, (width / 2, height / 2))
  return full_size.Photo(image, to_frame, SIDE)


def make_motion(flow=(0.0, 0.0), mask=0.0, new=0.0, frames=1):
  motion = np.zeros((frames, SIDE, SIDE, 6), np.float16)
  motion[..., :2] = flow
  motion[..., 2] = mask
  motion[..., 3:] = new
  return motion


def test_without_motion_every_frame_is_the_photo_bit_for_bit():
  noise = np.random.default_rng(0).integers(0, 256, (211, 333, 3), np.uint8)
  photo = full_size.Photo(noise, similarity(2.7, 0.3, (150, 100)), SIDE)

  for frame in full_size.render(photo, make_motion(new=0.7, frames=2)):
    np.testing.assert_array_equal(frame, noise)


def test_pixels_that_do_not_move_keep_their_bits_while_others_move():
  noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
  photo = full_size.Photo(noise, similarity(3.0, 0.0, (150, 150)), SIDE)
  motion = make_motion()
  motion[:, 28:36, 28:36, :2] = 2.0  # a patch around the photo's center

  (frame,) = full_size.render(photo, motion)

  changed = np.argwhere((frame != noise).any(axis=-1))
  assert len(changed) > 100
  # The patch, and two pixels of the frame around it, which interpolation mixes.
  assert np.all(np.abs(changed - 149.5) <= 3 * (4 + 2) + 1)


@given(
  scale=st.floats(0.7, 8),
  angle=st.floats(-0.4, 0.4),
  dx=st.floats(-4, 4),
  dy=st.floats(-4, 4),
)
@settings(max_examples=25, deadline=None)
def test_a_shift_of_the_frame_shifts_the_photo_by_its_own_scale(
  scale, angle, dx, dy
):
  photo = make_photo(700, 700, scale, angle)

  (frame,) = full_size.render(photo, make_motion(flow=(dx, dy)))

  # Where pixel p of the photo comes from: its place in the frame, moved by the
  # flow, and back.
  offset = np.linalg.inv(photo.to_frame.matrix) @ [dx, dy]
  inner = int(0.3 * SIDE * scale)
  y, x = np.mgrid[350 - inner : 350 + inner, 350 - inner : 350 + inner]
  wanted = bilinear(photo.image, x + offset[0], y + offset[1])
  found = frame[350 - inner : 350 + inner, 350 - inner : 350 + inner]
  assert np.abs(found - wanted).max() <= 2.5  # gray levels of 255


def bilinear(image, x, y):
  left, top = np.floor(x).astype(int), np.floor(y).astype(int)
  a, b = (x - left)[..., None], (y - top)[..., None]
  upper = image[top, left] * (1 - a) + image[top, left + 1] * a
  lower = image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a
  return upper * (1 - b) + lower * b


def test_the_frame_reduced_from_the_full_size_one_is_the_networks_own():
  photo = make_photo(scale=4.0)
  y, x = np.mgrid[:SIDE, :SIDE] / SIDE
  bump = np.exp(-40 * ((x - 0.5) ** 2 + (y - 0.7) ** 2))
  motion = make_motion()
  motion[..., 0] = 3 * bump
  motion[..., 1] = -2 * bump
  motion[..., 2] = 0.8 * bump
  motion[..., 3:] = [0.5, -0.2, 0.1]
  neutral = photo.to_frame.warp(photo.image, SIDE)

  (frame,) = full_size.render(photo, motion)

  own = translator.compose(
    jnp.asarray(neutral[None] / np.float32(127.5) - 1),
    flow=jnp.asarray(motion[..., :2], jnp.float32),
    mask=jnp.asarray(motion[..., 2:3], jnp.float32),
    new_pixels=jnp.asarray(motion[..., 3:], jnp.float32),
  ).faces
  reduced = photo.to_frame.warp(frame, SIDE)
  error = np.abs(127.5 * (np.asarray(own)[0] + 1) - reduced)
  assert error.max() <= 3 and error.mean() <= 0.6  # gray levels of 255


def test_new_pixels_replace_the_photo_where_the_mask_is_one():
  photo = make_photo()

  (frame,) = full_size.render(photo, make_motion(mask=1.0, new=1.0))

  assert np.all(frame[145:155, 195:205] == 255)
  np.testing.assert_array_equal(frame[:, :40], photo.image[:, :40])


def test_the_motion_at_the_frames_border_fades_out_without_an_edge():
  image = np.tile(
    (np.arange(400) // 2)[None, :, None].astype(np.uint8), (400, 1, 3)
  )
  photo = full_size.Photo(image, similarity(3.0, 0.0, (200, 200)), SIDE)

  (frame,) = full_size.render(photo, make_motion(flow=(4.0, 0.0)))

  change = frame[200, :, 0].astype(int) - image[200, :, 0]
  assert change.max() >= 5
  assert np.abs(np.diff(change)).max() <= 2
  assert not change[:60].any() and not change[-60:].any()


@pytest.mark.parametrize("center", [(0, 0), (400, 300), (-90, 150), (900, 900)])
def test_a_face_at_the_photos_edge_or_beyond_breaks_nothing(center):
  image = smooth_image(300, 400)
  photo = full_size.Photo(image, similarity(3.0, 0.2, center), SIDE)

  (frame,) = full_size.render(photo, make_motion(flow=(1, 1), mask=0.5))

  assert frame.shape == image.shape and frame.dtype == np.uint8


def test_a_photo_is_reduced_to_the_longest_side_and_never_enlarged():
  image = smooth_image(300, 400)

  assert full_size.limit_size(image, 200).shape == (150, 200, 3)
  assert full_size.limit_size(image, 400) is image
  assert full_size.limit_size(image, None) is image


def test_a_preview_is_the_reduced_part_of_the_photo_around_the_face():
  photo = make_photo(height=600, width=800, scale=6.0)
  motion = make_motion(flow=(3.0, -2.0), mask=0.3, new=0.5)
  (frame,) = full_size.render(photo, motion)

  preview = photo.preview(200)
  (small,) = full_size.render(preview, motion)

  left, top, right, bottom = photo.preview_box()
  expected = full_size.limit_size(frame[top:bottom, left:right], 200)
  assert small.shape == expected.shape and max(small.shape) == 200
  # Smooth, so that the order of moving and reducing hardly matters.
  assert np.abs(small.astype(int) - expected).max() <= 4
  # The face lies at the same place of the aligned frame.
  middle = np.array([[(SIDE - 1) / 2] * 2])
  in_photo = photo.to_frame.inverse_transform(middle)
  in_preview = preview.to_frame.inverse_transform(middle)
  scale = [right - left, bottom - top] / np.array(small.shape[1::-1])
  np.testing.assert_allclose(
    (in_photo + 0.5 - [left, top]) / scale - 0.5, in_preview, atol=1e-6
  )

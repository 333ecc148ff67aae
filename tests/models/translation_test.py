"""New pixels at the eyes: the hue of the skin there, and nothing else."""

import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.models.translation import color_lids
from cmm_jax.networks.translator import Translation

SIZE = 64
GOLD = np.array([0.8, 0.6, 0.3])


@pytest.fixture(scope="module")
def points():
  """A face with eyes 10 by 5 pixels large, and all else at the chin."""
  points = np.full((68, 2), [32.0, 60.0], np.float32)
  outline = [(-5, 0), (-2, -2.5), (2, -2.5), (5, 0), (2, 2.5), (-2, 2.5)]
  for eye, center in ((landmarks.RIGHT_EYE, 18), (landmarks.LEFT_EYE, 46)):
    points[list(eye)] = np.add(outline, (center, 26))
  return points


def frames(new_pixels, mask=1.0):
  """Two frames of new pixels in [0, 1], over a black face."""
  shape = 2, SIZE, SIZE
  pixels = jnp.broadcast_to(2 * np.array(new_pixels) - 1, (*shape, 3))
  mask = jnp.full((*shape, 1), mask)
  faces = mask * pixels - (1 - mask)
  return Translation(faces, jnp.zeros((*shape, 2)), mask, pixels)


def colored(made, points, skin=GOLD):
  neutral = np.broadcast_to(2 * skin - 1, (SIZE, SIZE, 3))
  made = color_lids(made, neutral, landmarks.eye_masks(points, SIZE))
  return made, (np.asarray(made.faces) + 1) / 2


def test_a_gray_lid_takes_the_hue_of_the_skin_and_keeps_its_brightness(points):
  _, faces = colored(frames([0.4, 0.4, 0.4]), points)

  for center in (18, 46):
    np.testing.assert_allclose(
      faces[:, 26, center], [0.4 * GOLD / GOLD.mean()] * 2, atol=0.02
    )


def test_the_eye_itself_does_not_count_as_skin(points):
  masks = landmarks.eye_masks(points, SIZE)
  neutral = np.broadcast_to(2 * GOLD - 1, (SIZE, SIZE, 3)).copy()
  neutral[25:28, 15:22] = neutral[25:28, 43:50] = 1.0  # white
  made = color_lids(frames([0.4, 0.4, 0.4]), neutral, masks)

  lid = (np.asarray(made.faces[0, 26, 18]) + 1) / 2
  np.testing.assert_allclose(lid, 0.4 * GOLD / GOLD.mean(), atol=0.02)


def test_a_lid_of_the_skins_hue_stays_as_it_is(points):
  made = frames(GOLD / 2)

  after, _ = colored(made, points)

  np.testing.assert_allclose(after.faces, made.faces, atol=1e-3)


def test_away_from_the_eyes_nothing_changes(points):
  made = frames([0.4, 0.4, 0.4])

  after, _ = colored(made, points)

  for name in ("faces", "new_pixels"):
    before, now = getattr(made, name), getattr(after, name)
    np.testing.assert_array_equal(before[:, 40:], now[:, 40:])


def test_what_is_not_new_keeps_its_color(points):
  made = frames([0.4, 0.4, 0.4], mask=0.0)

  after, _ = colored(made, points)

  np.testing.assert_array_equal(after.faces, made.faces)
  np.testing.assert_array_equal(after.mask, made.mask)


def test_a_face_is_what_its_motion_and_its_new_pixels_make(points):
  """Full-size videos are composed anew, from the same parts."""
  after, _ = colored(frames([0.4, 0.4, 0.4], mask=0.3), points)

  np.testing.assert_allclose(
    after.faces, 0.7 * -1 + 0.3 * after.new_pixels, atol=1e-6
  )


def test_other_forms_of_the_translator_are_left_alone(points):
  made = Translation(jnp.zeros((2, SIZE, SIZE, 3)))

  assert color_lids(made, None, None) is made

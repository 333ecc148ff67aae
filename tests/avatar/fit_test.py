"""Weights that moved landmarks, found again from these landmarks."""

import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.avatar import arkit, fit, generate
from cmm_jax.virtual_face import expression, smile

SIZE = 64


@pytest.fixture(scope="module")
def rest():
  """The avatar's own landmarks at rest."""
  _, points = generate.neutral_face(SIZE)
  return points


@pytest.fixture(scope="module")
def true():
  """A smile that shows teeth."""
  style = smile.StylePriors(open_chance=1.0, shut_eyes_chance=0.0)
  rng = np.random.default_rng(3)
  acted = smile.simulate("spontaneous", rng, style=style)
  weights = np.zeros((32, len(arkit.NAMES)))
  weights[:, arkit.RENDERED_COLUMNS] = expression.blendshape_weights(acted)
  return np.clip(weights - weights[0], 0, 1)


def moved(rest, weights):
  offsets = SIZE * arkit.landmark_offsets()[..., :2]
  fitted = weights[:, arkit.SMILE_COLUMNS]
  return rest + np.tensordot(fitted, offsets, axes=1)


def column(weights, name):
  return weights[..., arkit.NAMES.index(name)]


def test_the_names_are_those_of_the_heads_52_blendshapes():
  targets = generate.parts.head.load().targets
  sculpted = {name for name in targets if name.startswith("blendshape/")}

  assert {f"blendshape/{name}" for name in arkit.NAMES} == sculpted
  assert len(arkit.NAMES) == 52


def test_weights_are_found_from_the_landmarks_that_they_move(rest, true):
  found = fit.fit_landmarks(moved(rest, true), SIZE)

  np.testing.assert_allclose(found, true, atol=0.2)
  assert np.abs(found - true).mean() < 0.008


def test_weights_are_found_from_landmark_images(rest, true):
  points = jnp.asarray(moved(rest, true))
  images = np.asarray(landmarks.draw(points, SIZE))

  (found,) = fit.fit_images(images[None], rest)

  assert found.shape == (32, 52)
  for name, most in (
    ("mouthSmileLeft", 0.05), ("jawOpen", 0.02), ("eyeSquintRight", 0.05),
    ("cheekSquintLeft", 0.15), ("mouthUpperUpLeft", 0.08),
    ("eyeBlinkRight", 0.03),
  ):  # fmt: skip
    assert column(true, name).max() > 0.05
    error = np.abs(column(found, name) - column(true, name)).mean()
    assert error < most, name


def test_weights_are_never_negative_above_one_or_above_zero_at_rest(rest, true):
  rng = np.random.default_rng(0)
  noisy = 3 * moved(rest, true) - 2 * rest + rng.normal(size=(32, 68, 2))

  found = fit.fit_landmarks(noisy, SIZE)

  assert found.min() == 0 and found.max() == 1
  assert not found[0].any()


def test_where_nothing_moves_all_weights_are_exactly_zero(rest):
  still = np.repeat(rest[None], 8, axis=0)
  images = np.asarray(landmarks.draw(jnp.asarray(still), SIZE))

  assert not fit.fit_landmarks(still, SIZE).any()
  assert not fit.fit_images(images[None], rest).any()


def test_a_head_that_turns_does_not_smile(rest):
  turn = np.linspace(0, 1, 16)[:, None]
  poses = turn * np.array([0.02, -0.01, 0.05, 0.06, 0.04])
  points = rest + SIZE * np.tensordot(poses, arkit.pose_offsets(), axes=1)

  found = fit.fit_landmarks(points, SIZE)

  assert np.abs(points - rest).max() > 1
  assert found.max() < 0.08

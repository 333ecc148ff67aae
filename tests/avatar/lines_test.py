"""Blurred landmark images against `landmarks.draw` and finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.avatar.lines import BlurredLines
from cmm_jax.virtual_face import head


def face(size=64):
  """The landmarks of the head at rest, in pixels of an image."""
  points = head.load().vertices[head.load().landmarks, :2] * [1, -1]
  return (points - points.mean(axis=0)) * 0.3 * size + size / 2


@pytest.mark.parametrize("blur", [0.8, 2.0])
def test_the_lines_are_those_of_landmark_images(blur):
  points = face()
  lines = BlurredLines(64, blur)
  expected = lines.blurred(np.asarray(landmarks.draw(jnp.asarray(points), 64)))

  image, _ = lines.linearize(points, np.zeros((1, 68, 2)))

  assert expected.max() > 0.2
  np.testing.assert_allclose(image, expected, atol=1e-5)


def test_lines_outside_the_image_are_left_out():
  lines = BlurredLines(64, 1.0)

  image, changes = lines.linearize(face() + 1000, np.ones((1, 68, 2)))

  assert not image.any() and not changes.any()


def test_the_derivatives_are_those_of_finite_differences():
  points, lines = face(), BlurredLines(64, 1.5)
  basis = np.random.default_rng(0).normal(size=(3, 68, 2))

  _, changes = lines.linearize(points, basis)

  for movement, change in zip(basis, changes, strict=True):
    after, _ = lines.linearize(points + 5e-4 * movement, basis)
    before, _ = lines.linearize(points - 5e-4 * movement, basis)
    expected = (after - before).ravel() / 1e-3
    error = np.linalg.norm(change - expected) / np.linalg.norm(expected)
    assert error < 0.1

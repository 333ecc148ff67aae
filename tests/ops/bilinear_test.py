"""Bilinear sampling and warping."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.ops import bilinear


def ramp(height=4, width=5):
  """An image whose channels are the pixels' x and y."""
  y, x = jnp.meshgrid(
    jnp.arange(float(height)), jnp.arange(float(width)), indexing="ij"
  )
  return jnp.stack([x, y], axis=-1)


def test_a_ramp_is_sampled_at_its_own_positions():
  x, y = jnp.array([[0.0, 1.25, 4.0]]), jnp.array([[2.5, 0.75, 3.0]])

  found = bilinear.sample(ramp(), x, y)

  np.testing.assert_allclose(found, jnp.stack([x, y], -1), atol=1e-6)


def test_positions_outside_take_the_border():
  x, y = jnp.array([[-3.0, 9.0]]), jnp.array([[-1.0, 7.0]])

  found = bilinear.sample(ramp(), x, y)

  np.testing.assert_allclose(found, [[[0, 0], [4, 3]]])


def test_no_flow_leaves_an_image_as_it_is():
  images = jax.random.normal(jax.random.key(0), (2, 6, 7, 3))

  warped = bilinear.warp(images, jnp.zeros((2, 6, 7, 2)))

  np.testing.assert_allclose(warped, images)


def test_a_flow_of_one_pixel_reads_the_next_one():
  images = jax.random.normal(jax.random.key(0), (1, 6, 7, 3))
  flow = jnp.broadcast_to(jnp.array([1.0, 0.0]), (1, 6, 7, 2))

  warped = bilinear.warp(images, flow)

  np.testing.assert_allclose(warped[:, :, :-1], images[:, :, 1:], atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_in_the_flow_is_the_images_slope(axis):
  # A ramp grows by one a pixel along its own axis and not along the other.
  flow = jnp.full((4, 5, 2), 0.3)

  gradient = jax.grad(
    lambda flow: bilinear.warp(ramp(), flow)[1:-1, 1:-1, axis].sum()
  )(flow)

  wanted = np.zeros((4, 5, 2))
  wanted[1:-1, 1:-1, axis] = 1
  np.testing.assert_allclose(gradient, wanted, atol=1e-6)

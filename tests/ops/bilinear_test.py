"""Bilinear sampling, against SciPy and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from cmm_jax.ops import bilinear


def test_samples_are_those_of_scipy_with_the_border_repeated():
  random = np.random.default_rng(0)
  images = random.normal(size=(2, 5, 7, 3)).astype(np.float32)
  x = random.uniform(-2, 9, (2, 4, 6)).astype(np.float32)
  y = random.uniform(-2, 7, (2, 4, 6)).astype(np.float32)

  found = bilinear.sample(images, x, y)

  for image, columns, rows, sampled in zip(images, x, y, found, strict=True):
    for channel in range(3):
      expected = ndimage.map_coordinates(
        image[..., channel], [rows, columns], order=1, mode="nearest"
      )
      np.testing.assert_allclose(sampled[..., channel], expected, atol=1e-5)


def test_no_flow_returns_the_image_bit_for_bit():
  image = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)

  np.testing.assert_array_equal(
    bilinear.warp(image, jnp.zeros((1, 8, 8, 2))), image
  )


def test_a_flow_points_to_where_a_pixel_comes_from():
  image = jnp.arange(12.0).reshape(1, 3, 4, 1)
  flow = jnp.zeros((1, 3, 4, 2)).at[0, 1, 1].set(jnp.array([2.0, -1.0]))

  # The pixel in row 1, column 1 comes from row 0, column 3.
  assert bilinear.warp(image, flow)[0, 1, 1, 0] == 3.0


def test_the_gradient_of_a_flow_is_the_slope_of_the_image():
  image = (10.0 * jnp.arange(6.0)).reshape(1, 1, 6, 1) * jnp.ones((1, 4, 1, 1))

  gradient = jax.grad(lambda flow: bilinear.warp(image, flow)[0, 2, 3, 0])(
    jnp.full((1, 4, 6, 2), 0.25)
  )

  expected = np.zeros((1, 4, 6, 2))
  expected[0, 2, 3, 0] = 10.0
  np.testing.assert_allclose(gradient, expected, atol=1e-4)

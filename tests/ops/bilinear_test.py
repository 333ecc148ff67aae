"""Bilinear sampling, against SciPy and by hand."""

import functools

import hypothesis
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
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


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
  shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
  positions=st.lists(
    st.tuples(st.floats(-2, 8, width=32), st.floats(-2, 8, width=32)),
    min_size=4,
    max_size=4,
  ),
)
def test_the_form_for_tpus_equals_the_gather_with_all_its_gradients(
  shape, positions
):
  images = np.random.default_rng(2).normal(size=(2, *shape, 3)).astype("f4")
  x, y = (
    np.array(positions, np.float32).reshape(2, 2, 1, 2).transpose(3, 0, 1, 2)
  )
  x, y = np.clip(x, 0, shape[1] - 1), np.clip(y, 0, shape[0] - 1)

  def total(form, *inputs):
    sampled = form(*inputs)
    return jnp.sum(sampled * jnp.cos(sampled)), sampled

  results = [
    jax.value_and_grad(
      functools.partial(total, form), argnums=(0, 1, 2), has_aux=True
    )(images, x, y)
    for form in (bilinear.sample_by_products, bilinear.sample_by_gather)
  ]

  jax.tree.map(
    functools.partial(np.testing.assert_allclose, atol=2e-5), *results
  )


@pytest.mark.parametrize(
  ("platform", "gathers"), [("cpu", True), ("cuda", True), ("tpu", False)]
)
def test_each_platform_gets_the_form_that_suits_it(platform, gathers):
  images = jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
  flow = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)

  exported = jax.export.export(jax.jit(bilinear.warp), platforms=[platform])(
    images, flow
  )

  assert ("gather" in exported.mlir_module()) == gathers

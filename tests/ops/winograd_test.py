"""Winograd's algorithm against the convolution that it computes."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.ops import conv4x4, winograd


def conv(images, kernel):
  return conv4x4.conv(images, kernel, "xla")


def random_arrays(tile, batch, down, across, channels, out, seed, dtype):
  """Images of some tiles, a kernel, and a gradient of their convolution."""
  random = np.random.default_rng(seed)
  h, w = tile * down, tile * across
  shapes = (
    (batch, 2 * h, 2 * w, channels),
    (4, 4, channels, out),
    (batch, h, w, out),
  )
  return [jnp.asarray(random.standard_normal(s), dtype) for s in shapes]


@functools.partial(jax.jit, static_argnums=3)
def all_maps(images, kernel, gradient, tile):
  return (
    winograd.conv(images, kernel, tile),
    *winograd.conv_and_kernel_grad(images, kernel, gradient, tile),
    winograd.conv_input_grad(gradient, kernel, tile),
    *winograd.conv_grads(images, kernel, gradient, tile),
  )


def expected_maps(images, kernel, gradient):
  value, vjp = jax.vjp(conv, images, kernel)
  input_grad, kernel_grad = vjp(gradient)
  return value, value, kernel_grad, input_grad, input_grad, kernel_grad


@hypothesis.given(
  tile=st.sampled_from([2, 4]),
  batch=st.integers(1, 3),
  down=st.integers(1, 3),
  across=st.integers(1, 3),
  channels=st.integers(1, 4),
  out=st.integers(1, 4),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=8, deadline=None)
def test_each_map_is_the_convolution_or_its_transpose(
  tile, batch, down, across, channels, out, seed
):
  with jax.enable_x64(True):
    arrays = random_arrays(
      tile, batch, down, across, channels, out, seed, jnp.float64
    )
    found = all_maps(*arrays, tile)
    wanted = expected_maps(*arrays)

  for one, other in zip(found, wanted, strict=True):
    assert one.dtype == jnp.float64
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tile", [2, 4])
def test_single_precision_suffices_for_wide_layers(tile):
  arrays = random_arrays(tile, 8, 1, 1, 256, 256, 1, jnp.float32)

  found = jax.device_get(all_maps(*arrays, tile))

  with jax.enable_x64(True):
    wanted = expected_maps(*(jnp.asarray(x, jnp.float64) for x in arrays))
    wanted = jax.device_get(wanted)
  for one, other in zip(found, wanted, strict=True):
    assert np.abs(one - other).max() < 3e-5 * np.abs(other).max()


@pytest.mark.parametrize(("tile", "share"), [(2, 9 / 16), (4, 25 / 64)])
def test_a_tile_needs_the_share_of_operations_that_the_paper_states(
  tile, share
):
  images, kernel, _ = random_arrays(tile, 8, 4, 4, 128, 128, 0, jnp.float32)
  programs = conv, functools.partial(winograd.conv, tile=tile)

  direct, filtered = (
    jax.jit(program).lower(images, kernel).cost_analysis()["flops"]
    for program in programs
  )

  # The direct form saves the products with padding; the transforms cost some.
  assert share < filtered / direct < 1.4 * share

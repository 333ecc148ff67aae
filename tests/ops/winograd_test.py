"""Winograd's filtering against the convolution that it stands for."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.ops import conv4x4, winograd


def reduce(images, kernel):
  return conv4x4.shrink(images, kernel, "plain")


def drawn(tile, batch, down, across, channels, out, seed, dtype=jnp.float64):
  """Images, a kernel, and what the convolution makes of such images."""
  random = np.random.default_rng(seed)
  h, w = tile * down, tile * across
  shapes = (batch, 2 * h, 2 * w, channels), (4, 4, channels, out)
  shapes = *shapes, (batch, h, w, out)
  return [jnp.asarray(random.standard_normal(s), dtype) for s in shapes]


@functools.partial(jax.jit, static_argnums=3)
def all_maps(images, kernel, small, tile):
  return (
    winograd.reduce(images, winograd.product_weights(kernel, tile)),
    *winograd.reduce_and_correlate(images, kernel, small, tile),
    winograd.spread(small, winograd.product_weights(kernel, tile)),
    *winograd.spread_and_correlate(images, kernel, small, tile),
  )


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
    images, kernel, small = drawn(
      tile, batch, down, across, channels, out, seed
    )
    reduced, transpose = jax.vjp(reduce, images, kernel)
    spread, correlated = transpose(small)

    found = all_maps(images, kernel, small, tile)

  wanted = reduced, reduced, correlated, spread, spread, correlated
  for one, other in zip(found, wanted, strict=True):
    assert one.dtype == jnp.float64
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tile", [2, 4])
def test_a_tile_needs_the_products_that_the_paper_counts(tile):
  images, kernel, _ = drawn(tile, 1, 1, 1, 3, 5, 0, jnp.float32)

  weights = winograd.product_weights(kernel, tile)
  program = jax.make_jaxpr(winograd.reduce)(images, weights)

  (product,) = (e for e in program.eqns if e.primitive.name == "dot_general")
  # F(2x2, 2x2) multiplies 9 times and F(4x4, 2x2) 25 times for each pair of
  # channels; on blocks of 2x2 pixels a channel is four.
  one, other = (value.aval.shape for value in product.invars)
  assert sorted((one, other)) == sorted(
    [((tile + 1) ** 2, 1, 12), ((tile + 1) ** 2, 12, 5)]
  )


@pytest.mark.parametrize("tile", [2, 4])
def test_single_precision_suffices_for_wide_layers(tile):
  images, kernel, small = drawn(tile, 8, 1, 1, 256, 256, 1, jnp.float32)

  found = all_maps(images, kernel, small, tile)

  with jax.enable_x64(True):
    given = [jnp.asarray(x, jnp.float64) for x in (images, kernel, small)]
    reduced, transpose = jax.vjp(reduce, *given[:2])
    spread, correlated = transpose(given[2])
    wanted = reduced, reduced, correlated, spread, spread, correlated
    wanted = jax.device_get(wanted)
  for one, other in zip(jax.device_get(found), wanted, strict=True):
    assert np.abs(one - other).max() < 3e-5 * np.abs(other).max()


def test_a_batch_that_is_worth_it_is_filtered_so(monkeypatch):
  tiles = []
  reduce = winograd.reduce

  def spy(images, weights):
    tiles.append({9: 2, 25: 4}[len(weights)])
    return reduce(images, weights)

  monkeypatch.setattr(winograd, "reduce", spy)

  for batch, side, channels in (
    (256, 8, 64),  # 256 tiles of 4x4
    (64, 8, 64),  # 256 of 2x2
    (32, 8, 64),  # too few
    (256, 10, 64),  # 5 is odd
    (256, 8, 32),  # too narrow
  ):
    kernel = jnp.ones((4, 4, channels, channels))
    images = jnp.ones((batch, side, side, channels))
    conv4x4.shrink(images, kernel, "cpu")

  assert tiles == [4, 2]


@pytest.mark.parametrize("name", ["shrink", "grow"])
def test_a_filtered_layer_has_the_plain_layers_values_and_gradients(name):
  large, kernel, small = drawn(4, 64, 2, 2, 64, 64, 2, jnp.float32)
  given, made = (large, small) if name == "shrink" else (small, large)
  layer = getattr(conv4x4, name)

  @jax.jit
  def both(given, kernel, made):
    results = []
    for form in ("plain", "cpu"):
      value, transpose = jax.vjp(
        lambda g, k, form=form: layer(g, k, form), given, kernel
      )
      results.append((value, *transpose(made)))
    return results

  for one, other in zip(*both(given, kernel, made), strict=True):
    np.testing.assert_allclose(
      one, other, rtol=1e-3, atol=1e-4 * np.abs(one).max()
    )


@pytest.mark.parametrize("name", ["shrink", "grow"])
def test_a_layer_takes_prepared_weights_in_place_of_its_kernel(name):
  large, kernel, small = drawn(4, 64, 2, 2, 64, 64, 5, jnp.float32)
  given = large if name == "shrink" else small
  layer = getattr(conv4x4, name)

  prepared = conv4x4.prepared(kernel, small.shape[:3])

  assert prepared.shape == (25, 4 * 64, 64)
  wanted = layer(given, kernel, "plain")
  np.testing.assert_allclose(
    layer(given, prepared), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max()
  )


def test_nothing_is_prepared_where_the_kernel_itself_is_wanted(monkeypatch):
  _, kernel, small = drawn(4, 64, 2, 2, 64, 64, 5, jnp.float32)

  assert conv4x4.prepared(kernel, (1, *small.shape[1:3])) is None
  monkeypatch.setenv(conv4x4.SETTING, "plain")
  assert conv4x4.prepared(kernel, small.shape[:3]) is None


@pytest.mark.parametrize("tile", [2, 4])
def test_in_time_a_tile_takes_one_convolution_more_than_new_frames(tile):
  random = np.random.default_rng(3)
  large, kernel, small = (
    jnp.asarray(random.standard_normal(shape), jnp.float32)
    for shape in (
      (2, 4 * tile, 8, 4, 2),
      (4, 4, 4, 2, 3),
      (2, 2 * tile, 4, 2, 3),
    )
  )
  given = []

  def counted(layer):
    def convolution(images, part):
      given.append((images.shape, part.shape))
      return layer(images, part, "plain")

    return convolution

  shrunk = winograd.shrink_video(large, kernel, tile, counted(conv4x4.shrink))
  grown = winograd.grow_video(small, kernel, tile, counted(conv4x4.grow))

  # Two clips of two tiles, each with pairs of frames as channels: T + 1
  # convolutions make what T, with as many weights for twice the pairs, make
  # directly.
  assert given == [((4, 8, 4, 4), (4, 4, 4, 3))] * (tile + 1) + [
    ((4, 4, 2, 3), (4, 4, 4, 3))
  ] * (tile + 1)
  wanted = (
    conv4x4.shrink_video(large, kernel, "plain"),
    conv4x4.grow_video(small, kernel, "plain"),
  )
  for one, other in zip((shrunk, grown), wanted, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)

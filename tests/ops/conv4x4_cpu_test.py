"""The CPU's convolutions of images against XLA's."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.ops import conv4x4, winograd

FUNCTIONS = {"conv": conv4x4.conv, "conv_transpose": conv4x4.conv_transpose}


def random_arrays(name, side, channels, out, batch, seed, dtype):
  """An input, a kernel and a gradient; `side` is the smaller image's."""
  random = np.random.default_rng(seed)
  small, large = (batch, side, side, out), (batch, 2 * side, 2 * side, channels)
  inputs, outputs = (large, small) if name == "conv" else (small, large)
  shapes = inputs, (4, 4, channels, out), outputs
  return [jnp.asarray(random.standard_normal(s), dtype) for s in shapes]


@functools.partial(jax.jit, static_argnums=(0, 1))
def value_and_gradients(name, implementation, inputs, kernel, gradient):
  value, vjp = jax.vjp(
    functools.partial(FUNCTIONS[name], implementation=implementation),
    inputs,
    kernel,
  )
  return value, *vjp(gradient)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
@hypothesis.given(
  channels=st.integers(1, 5),
  out=st.integers(1, 5),
  batch=st.integers(1, 3),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=2, deadline=None)
def test_values_and_gradients_are_xlas(name, side, channels, out, batch, seed):
  with jax.enable_x64(True):
    arrays = random_arrays(name, side, channels, out, batch, seed, jnp.float64)
    xla = value_and_gradients(name, "xla", *arrays)
    cpu = value_and_gradients(name, "cpu", *arrays)

  for one, other in zip(cpu, xla, strict=True):
    assert one.dtype == jnp.float64
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, 4, 16])
@pytest.mark.parametrize(
  ("dtype", "tolerance"), [(jnp.float32, 1e-4), (jnp.bfloat16, 0.05)]
)
def test_values_and_gradients_are_xlas_in_each_dtype(
  name, side, dtype, tolerance
):
  arrays = random_arrays(name, side, 3, 5, 2, 0, dtype)
  xla = value_and_gradients(name, "xla", *arrays)
  cpu = value_and_gradients(name, "cpu", *arrays)

  for one, other in zip(cpu, xla, strict=True):
    assert one.dtype == other.dtype == dtype
    one, other = (np.asarray(x, np.float32) for x in (one, other))
    gap = np.abs(one - other).max()
    assert gap <= tolerance * max(1, np.abs(other).max())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
  ("batch", "side"),
  [
    (64, 8),  # 256 tiles of 4x4
    (64, 4),  # 256 of 2x2
  ],
)
def test_wide_layers_have_xlas_values_and_gradients(name, batch, side):
  arrays = random_arrays(name, side, 64, 64, batch, 2, jnp.float32)
  xla = value_and_gradients(name, "xla", *arrays)
  cpu = value_and_gradients(name, "cpu", *arrays)

  for one, other in zip(cpu, xla, strict=True):
    np.testing.assert_allclose(
      one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max()
    )


def test_winograds_tiles_are_for_wide_layers_with_many_pixels(monkeypatch):
  tiles = []
  conv = winograd.conv

  def spy(images, kernel, tile):
    tiles.append(tile)
    return conv(images, kernel, tile)

  monkeypatch.setattr(winograd, "conv", spy)

  for batch, side, channels, dtype in (
    (256, 8, 64, jnp.float32),  # 256 tiles of 4x4
    (64, 8, 64, jnp.float32),  # 256 of 2x2
    (32, 8, 64, jnp.float32),  # too few
    (256, 10, 64, jnp.float32),  # outputs of an odd side
    (256, 8, 32, jnp.float32),  # too narrow
    (256, 8, 64, jnp.bfloat16),  # too few digits for the transforms
  ):
    kernel = jnp.ones((4, 4, channels, channels), dtype)
    images = jnp.ones((batch, side, side, channels), dtype)
    conv4x4.conv(images, kernel, "cpu")

  assert tiles == [4, 2]

"""The CPU's convolutions of videos against XLA's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.ops import conv4x4

FUNCTIONS = {"conv": conv4x4.conv, "conv_transpose": conv4x4.conv_transpose}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
  ("frames", "side"),
  [
    (1, 2),  # no tiles in time
    (3, 8),
    (6, 4),  # tiles of 2 frames
    (8, 2),  # tiles of 4
  ],
)
def test_values_and_gradients_are_xlas(name, frames, side):
  random = np.random.default_rng(0)
  small = (2, frames, side, side, 3)
  large = (2, 2 * frames, 2 * side, 2 * side, 2)
  inputs, outputs = (large, small) if name == "conv" else (small, large)
  inputs, kernel, gradient = (
    jnp.asarray(random.standard_normal(shape), jnp.float32)
    for shape in (inputs, (4, 4, 4, 2, 3), outputs)
  )

  @functools.partial(jax.jit, static_argnums=0)
  def value_and_gradients(implementation):
    value, vjp = jax.vjp(
      functools.partial(FUNCTIONS[name], implementation=implementation),
      inputs,
      kernel,
    )
    return value, *vjp(gradient)

  wanted = value_and_gradients("xla")
  for implementation in ("cpu", None):  # None: the platform's
    found = value_and_gradients(implementation)
    for one, other in zip(found, wanted, strict=True):
      np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tiles_in_time_save_products(name):
  shape = (1, 32, 32, 32, 24) if name == "conv" else (1, 16, 16, 16, 24)
  videos, kernel = jnp.zeros(shape), jnp.zeros((4, 4, 4, 24, 24))

  def operations(implementation):
    function = functools.partial(FUNCTIONS[name], implementation=implementation)
    lowered = jax.jit(function).lower(videos, kernel)
    return lowered.cost_analysis()["flops"]

  # Five convolutions for four new frames instead of eight.
  assert operations("cpu") / operations("xla") < 0.8

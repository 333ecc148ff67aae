"""The 4x4 convolutions by XLA's own operators, for images and for video."""

import jax
import jax.numpy as jnp
from jax import lax

# By the number of spatial axes; the first axis of a video is time.
_LAYOUTS = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv`."""
  dims = x.ndim - 2
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(2,) * dims,
    padding=[(1, 1)] * dims,
    dimension_numbers=_LAYOUTS[dims],
  )


def conv_transpose(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv_transpose`."""
  dims = x.ndim - 2
  return lax.conv_general_dilated(
    x,
    jnp.flip(kernel, range(dims)).swapaxes(-2, -1),
    window_strides=(1,) * dims,
    padding=[(2, 2)] * dims,
    lhs_dilation=(2,) * dims,
    dimension_numbers=_LAYOUTS[dims],
  )

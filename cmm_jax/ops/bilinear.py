"""Bilinear sampling of images, as a gather that every backend runs."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def sample(
  images: Float[Array, "*batch h w c"],
  x: Float[Array, "*batch rows columns"],
  y: Float[Array, "*batch rows columns"],
) -> Float[Array, "*batch rows columns c"]:
  """Samples images at real-valued positions; the border pixels are repeated.

  Differentiable with respect to the images and, within a pixel, to the
  positions.

  Args:
    images: any float dtype.
    x: column to sample at, in pixels; 0 is the center of the first one.
    y: row to sample at, likewise.
  """
  *batch, height, width, channels = images.shape
  x = jnp.clip(x, 0, width - 1)
  y = jnp.clip(y, 0, height - 1)
  # The last pixel is reached from its neighbor with a weight of 1.
  left = jnp.minimum(jnp.floor(x), max(width - 2, 0)).astype(jnp.int32)
  top = jnp.minimum(jnp.floor(y), max(height - 2, 0)).astype(jnp.int32)
  right = jnp.minimum(left + 1, width - 1)
  bottom = jnp.minimum(top + 1, height - 1)
  x_weight = (x - left)[..., None].astype(images.dtype)
  y_weight = (y - top)[..., None].astype(images.dtype)
  pixels = images.reshape(*batch, height * width, channels)

  def gather(row, column):
    index = (row * width + column).reshape(*batch, -1, 1)
    found = jnp.take_along_axis(pixels, index, axis=-2)
    return found.reshape(*x.shape, channels)

  upper = gather(top, left) * (1 - x_weight)
  upper = upper + gather(top, right) * x_weight
  lower = gather(bottom, left) * (1 - x_weight)
  lower = lower + gather(bottom, right) * x_weight
  return (1 - y_weight) * upper + y_weight * lower


def warp(
  images: Float[Array, "*batch h w c"], flow: Float[Array, "*batch h w 2"]
) -> Float[Array, "*batch h w c"]:
  """Backward warping: each pixel is sampled at its own place plus `flow`.

  Args:
    images: any float dtype.
    flow: x and y in pixels.
  """
  height, width = images.shape[-3:-1]
  shape = (1,) * (images.ndim - 3)
  columns = jnp.arange(width, dtype=flow.dtype).reshape(*shape, 1, width)
  rows = jnp.arange(height, dtype=flow.dtype).reshape(*shape, height, 1)
  return sample(images, columns + flow[..., 0], rows + flow[..., 1])

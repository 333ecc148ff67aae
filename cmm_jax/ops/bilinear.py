"""Bilinear sampling of images, in the form that suits the platform."""

import jax
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
  height, width = images.shape[-3:-1]
  return jax.lax.platform_dependent(
    images,
    jnp.clip(x, 0, width - 1),
    jnp.clip(y, 0, height - 1),
    tpu=sample_by_products,
    default=sample_by_gather,
  )


def sample_by_gather(
  images: Float[Array, "*batch h w c"],
  x: Float[Array, "*batch rows columns"],
  y: Float[Array, "*batch rows columns"],
) -> Float[Array, "*batch rows columns c"]:
  """`sample` for positions within the image, for CPUs and GPUs."""
  *batch, height, width, channels = images.shape
  left, right, x_weight = _neighbors(x, width)
  top, bottom, y_weight = _neighbors(y, height)
  x_weight = x_weight[..., None].astype(images.dtype)
  y_weight = y_weight[..., None].astype(images.dtype)
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


def sample_by_products(
  images: Float[Array, "*batch h w c"],
  x: Float[Array, "*batch rows columns"],
  y: Float[Array, "*batch rows columns"],
) -> Float[Array, "*batch rows columns c"]:
  """`sample` for positions within the image, for TPUs.

  Weights all pixels of the image, most by zero: h w operations for one value,
  on units made for matrix products. A gather fetches tiles of 8 x 128 values
  from a TPU's memory for the three of a pixel (benchmarks/README.md).
  """
  height, width = images.shape[-3:-1]
  return jnp.einsum(
    "...ijh,...hwc,...ijw->...ijc",
    _weights(y, height).astype(images.dtype),
    images,
    _weights(x, width).astype(images.dtype),
    # A TPU's default rounds pixels to bfloat16.
    precision=jax.lax.Precision.HIGHEST,
  )


def _neighbors(position, size):
  """The pixels before and after each position, and the weight of the latter."""
  # The last pixel is reached from its neighbor with a weight of 1.
  before = jnp.minimum(jnp.floor(position), max(size - 2, 0)).astype(jnp.int32)
  return before, jnp.minimum(before + 1, size - 1), position - before


def _weights(position, size):
  """The weights of all `size` pixels, in a further axis."""
  before, after, weight = _neighbors(position[..., None], size)
  pixels = jnp.arange(size).reshape((1,) * position.ndim + (size,))
  return jnp.where(pixels == before, 1 - weight, 0) + jnp.where(
    pixels == after, weight, 0
  )


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

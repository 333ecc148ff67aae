"""Winograd's minimal filtering for 4x4 convolutions of stride 2.

Over blocks of 2x2 pixels, a 4x4 convolution of stride 2 is a 2x2 convolution
of stride 1. F(T x T, 2 x 2) of Lavin and Gray (2016, arXiv:1509.09308)
computes a tile of T x T outputs from (T + 1)^2 blocks:

  Y = A^T [(G g G^T) * (B^T d B)] A

With all channels the elementwise product is (T + 1)^2 = n matrix products,
which take (T + 1)^2 multiplications per pair of channels instead of 4 T^2. The
transforms around them add and subtract neighbors.

The 1-D transforms are public: `conv4x4_cpu_3d` applies them along time.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# The points of the polynomials that a tile of T outputs is computed from.
_POINTS = {2: (0, 1, math.inf), 4: (0, 1, -1, 2, math.inf)}


def conv(
  images: Float[Array, "b height width c"],
  kernel: Float[Array, "4 4 c o"],
  tile: int,
) -> Float[Array, "b h w o"]:
  """The convolution of stride 2 and padding 1; `tile` is T and divides h, w."""
  b, height, width, _ = images.shape
  inputs = _barrier(_transform_images(images, tile))
  weights = _barrier(_transform_kernel(kernel, tile))
  products = _barrier(jnp.einsum("nmk,nko->nmo", inputs, weights))
  return _inverse_transform(products, (b, height // 2, width // 2), tile)


def conv_input_grad(
  gradient: Float[Array, "b h w o"],
  kernel: Float[Array, "4 4 c o"],
  tile: int,
) -> Float[Array, "b height width c"]:
  """The transpose of `conv` in the images."""
  b, h, w, _ = gradient.shape
  images = jax.ShapeDtypeStruct(
    (b, 2 * h, 2 * w, kernel.shape[2]), gradient.dtype
  )
  transpose = jax.linear_transpose(lambda x: conv(x, kernel, tile), images)
  return transpose(gradient)[0]


def conv_grads(
  images: Float[Array, "b height width c"],
  kernel: Float[Array, "4 4 c o"],
  gradient: Float[Array, "b h w o"],
  tile: int,
) -> tuple[Float[Array, "b height width c"], Float[Array, "4 4 c o"]]:
  """The transposes of `conv` in the images and in the kernel."""
  convolve = functools.partial(conv, tile=tile)
  return jax.vjp(convolve, images, kernel)[1](gradient)


def conv_and_kernel_grad(
  images: Float[Array, "b height width c"],
  kernel: Float[Array, "4 4 c o"],
  gradient: Float[Array, "b h w o"],
  tile: int,
) -> tuple[Float[Array, "b h w o"], Float[Array, "4 4 c o"]]:
  """`conv`, and its transpose in the kernel."""
  made, transpose = jax.vjp(lambda k: conv(images, k, tile), kernel)
  return made, transpose(gradient)[0]


# Without a barrier XLA merges the transforms into the products, which are then
# no longer calls of its matrix library. (Its CPU compiler drops barriers before
# it fuses loops, so the transforms still fuse with their other neighbors.)
_barrier = lax.optimization_barrier


# ------------------------------------------------------------ transforms in 1-D


def transform_input_1d(
  pairs: Array, axis: int
) -> tuple[list[Array], list[Array]]:
  """B^T d along one axis.

  The four taps of an output meet an odd, an even, an odd and an even pixel:
  two pairs, from the odd pixel before the tile to the even one after it.

  Args:
    pairs: pixels [... tiles 2*T ...].
    axis: of the tiles.

  Returns:
    T + 1 arrays [... tiles ...] from the odd pixels, T + 1 from the even ones.
  """
  pixels = _unstack(pairs, axis + 1)
  even, odd = pixels[::2], pixels[1::2]
  odd = [_shift(odd[-1], axis, 1), *odd]
  even = [*even, _shift(even[0], axis, -1)]
  matrix = _matrices(len(even) - 1).inputs
  return _combine(matrix, odd), _combine(matrix, even)


def transform_kernel_1d(taps: Sequence[Array], tile: int) -> list[Array]:
  """G g along one axis: two arrays, one per pair of taps, to T + 1."""
  return _combine(_matrices(tile).kernel, taps)


def inverse_transform_1d(products: Sequence[Array], tile: int) -> list[Array]:
  """A^T m along one axis: T + 1 products to T outputs."""
  return _combine(_matrices(tile).outputs, products)


class _Matrices(NamedTuple):
  """The transforms of F(T, 2) along one axis."""

  inputs: np.ndarray  # B^T, [T + 1, T + 1]
  kernel: np.ndarray  # G, [T + 1, 2]
  outputs: np.ndarray  # A^T, [T, T + 1]


@functools.cache
def _matrices(tile: int) -> _Matrices:
  """Transposes the Toom-Cook multiplication of polynomials."""
  *points, _ = _POINTS[tile]

  def evaluation(num_coefficients):
    finite = [[float(p) ** i for i in range(num_coefficients)] for p in points]
    at_infinity = [0.0] * (num_coefficients - 1) + [1.0]
    return np.array([*finite, at_infinity])

  inputs = np.linalg.inv(evaluation(tile + 1)).T
  # In the smallest integers: the kernel is divided by the same factors.
  scale = 1 / np.min(np.abs(inputs), axis=1, where=inputs != 0, initial=1)
  scale = scale[:, None]
  return _Matrices(
    inputs=np.round(inputs * scale),
    kernel=evaluation(2) / scale,
    outputs=evaluation(tile).T,
  )


def _combine(matrix, parts):
  """The product of a matrix and a list of arrays, without its zeros."""

  def scaled(weight, part):
    return part if weight == 1 else -part if weight == -1 else weight * part

  return [
    functools.reduce(
      jnp.add,
      [
        scaled(float(weight), part)
        for weight, part in zip(row, parts, strict=True)
        if weight
      ],
    )
    for row in matrix
  ]


def _unstack(x, axis):
  # Written so that its transpose is one concatenation along the first axis:
  # that of indexing is a sum of paddings, that along an inner axis is slow.
  x = jnp.moveaxis(x, axis, 0)
  return [lax.squeeze(part, [0]) for part in lax.split(x, [1] * len(x), 0)]


def _shift(x, axis, by):
  """Moves `by` places along an axis, shifting in zeros."""
  padding = [(0, 0, 0)] * x.ndim
  padding[axis] = (by, -by, 0)
  return lax.pad(x, jnp.zeros((), x.dtype), padding)


# ------------------------------------------------------------ transforms in 2-D


def _transform_images(images, tile):
  """B^T d B: [b 2h 2w c] -> [n tiles 4c]."""
  b, height, width, c = images.shape
  down, across = height // (2 * tile), width // (2 * tile)
  columns = images.reshape(b * height, across, 2 * tile, c)
  columns = _stack_pairs(transform_input_1d(columns, axis=1))
  rows = columns.reshape(tile + 1, b, down, 2 * tile, across, 2 * c)
  rows = _stack_pairs(transform_input_1d(rows, axis=2))
  return rows.reshape((tile + 1) ** 2, -1, 4 * c)


def _stack_pairs(odd_and_even):
  """Odd and even pixels of T + 1 products side by side as channels."""
  pairs = zip(*odd_and_even, strict=True)
  return jnp.stack([jnp.stack(pair, -2) for pair in pairs])


def _transform_kernel(kernel, tile):
  """G g G^T: [4 4 c o] -> [n 4c o]."""
  c, o = kernel.shape[2:]
  blocks = kernel.reshape(2, 2, 2, 2, c, o).transpose(0, 2, 1, 3, 4, 5)
  blocks = blocks.reshape(2, 2, 4 * c, o)
  rows = jnp.stack(transform_kernel_1d(_unstack(blocks, 0), tile))
  columns = jnp.stack(transform_kernel_1d(_unstack(rows, 1), tile), 1)
  return columns.reshape((tile + 1) ** 2, 4 * c, o)


def _inverse_transform(products, shape, tile):
  """A^T m A: [n tiles o] -> [b h w o]."""
  b, h, w = shape
  products = products.reshape(tile + 1, tile + 1, b, h // tile, w // tile, -1)
  columns = inverse_transform_1d(_unstack(products, 1), tile)
  columns = jnp.stack(columns, 4)  # [n b down across T o]
  rows = inverse_transform_1d(_unstack(columns, 0), tile)
  return jnp.stack(rows, 2).reshape(b, h, w, -1)

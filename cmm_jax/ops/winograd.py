"""Winograd's minimal filtering for the convolutions of size 4 and stride 2.

On images laid out as blocks of 2x2 pixels a 4x4 convolution of stride 2 is a
2x2 convolution of stride 1. One that makes a tile of T outputs from T + 1
inputs along each axis needs (T + 1)^2 products where the direct form needs
4 T^2: F(T x T, 2 x 2) of Lavin and Gray (2016, arXiv:1509.09308). In

  outputs(inputs(images) @ weights(kernel))

the product is one of (T + 1)^2 pairs of matrices, and the transforms around it
add and subtract neighbours. They are linear, so the convolution's transposes,
in its images and in its weights, are made of the same three and of their own
transposes; what two of these maps share is computed once.

Time is filtered around all this: a convolution of clips becomes T + 1 of
images, where the direct form takes 2 T of as many.
"""

import functools
import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# Where the polynomials are evaluated, of degree T in the tile's size.
_POINTS = {2: (0, 1, math.inf), 4: (0, 1, -1, 2, math.inf)}


def product_weights(
  kernel: Float[Array, "4 4 c o"], tile: int
) -> Float[Array, "n 4*c o"]:
  """What each of the n = (T + 1)^2 products multiplies by."""
  matrix = _matrices(tile)[1]
  c, o = kernel.shape[2:]
  blocks = kernel.reshape(2, 2, 2, 2, c, o).transpose(0, 2, 1, 3, 4, 5)
  rows = _combine(matrix, list(blocks.reshape(2, 2, 4 * c, o)))
  both = [jnp.stack(_combine(matrix, list(row))) for row in rows]
  return jnp.stack(both).reshape((tile + 1) ** 2, 4 * c, o)


def reduce(
  images: Float[Array, "b height width c"], weights: Float[Array, "n k o"]
) -> Float[Array, "b h w o"]:
  """The convolution, of stride 2 and padding 1; T divides h and w.

  Its kernel is given as `product_weights` makes it, k = 4c; so is `spread`'s.
  """
  return _reduce(_inputs(images, _tile_of(weights)), weights, images.shape)


def spread(
  gradient: Float[Array, "b h w o"], weights: Float[Array, "n k o"]
) -> Float[Array, "b height width c"]:
  """Its transpose in the images."""
  to_products = _outputs_transposed(gradient, _tile_of(weights))
  return _spread(to_products, weights, gradient.shape)


def spread_and_correlate(
  images: Float[Array, "b height width c"],
  kernel: Float[Array, "4 4 c o"],
  gradient: Float[Array, "b h w o"],
  tile: int,
) -> tuple[Float[Array, "b height width c"], Float[Array, "4 4 c o"]]:
  """Its transposes in the images and in the weights."""
  to_products = _outputs_transposed(gradient, tile)
  return (
    _spread(to_products, product_weights(kernel, tile), gradient.shape),
    _correlate(_inputs(images, tile), to_products),
  )


def reduce_and_correlate(
  images: Float[Array, "b height width c"],
  kernel: Float[Array, "4 4 c o"],
  gradient: Float[Array, "b h w o"],
  tile: int,
) -> tuple[Float[Array, "b h w o"], Float[Array, "4 4 c o"]]:
  """The convolution, and its transpose in the weights."""
  inputs = _inputs(images, tile)
  return (
    _reduce(inputs, product_weights(kernel, tile), images.shape),
    _correlate(inputs, _outputs_transposed(gradient, tile)),
  )


def shrink_video(
  frames: Float[Array, "b time height width c"],
  kernel: Float[Array, "4 4 4 c o"],
  tile: int,
  shrink: Callable[[Array, Array], Array],
) -> Float[Array, "b t h w o"]:
  """The convolution in time too, as T + 1 convolutions of images.

  Args:
    frames: T divides t.
    kernel: its first axis is that of time.
    tile: T, the new frames that are made together.
    shrink: the convolution of images, of stride 2 and padding 1.
  """
  b, time, height, width, c = frames.shape
  inputs, weights, outputs = _matrices(tile)
  pairs = frames.reshape(b, -1, tile, 2, height, width, c)
  odd, even = (_combine(inputs, parts) for parts in _unfold(pairs, 1))
  made = [
    shrink(jnp.concatenate(pair, -1).reshape(-1, height, width, 2 * c), part)
    for *pair, part in zip(odd, even, _in_time(weights, kernel), strict=True)
  ]
  made = jnp.stack(_combine(outputs.T, made), 1)
  return made.reshape(b, time // 2, *made.shape[2:])


def grow_video(
  frames: Float[Array, "b t h w o"],
  kernel: Float[Array, "4 4 4 c o"],
  tile: int,
  grow: Callable[[Array, Array], Array],
) -> Float[Array, "b time height width c"]:
  """The transpose of `shrink_video` in the frames, by that of `shrink`."""
  b, t, h, w, o = frames.shape
  inputs, weights, outputs = _matrices(tile)
  tiles = frames.reshape(-1, tile, h, w, o)
  parts = _combine(outputs, [tiles[:, i] for i in range(tile)])
  made = [
    grow(*given) for given in zip(parts, _in_time(weights, kernel), strict=True)
  ]
  made = [m.reshape(b, -1, 2 * h, 2 * w, 2, kernel.shape[3]) for m in made]
  odd, even = (
    _combine(inputs.T, [m[..., p, :] for m in made]) for p in range(2)
  )
  made = jnp.stack(_fold(odd, even, axis=1), 2)
  return made.reshape(b, 2 * t, *made.shape[3:])


def _in_time(matrix, kernel):
  """[4 4 4 c o] -> [4 4 2c o], T + 1 times; of pairs of frames."""
  c, o = kernel.shape[3:]
  made = _combine(matrix, list(kernel.reshape(2, 2, 4, 4, c, o)))
  return [
    part.transpose(1, 2, 0, 3, 4).reshape(4, 4, 2 * c, o) for part in made
  ]


def _reduce(inputs, weights, shape):
  b, height, width, _ = shape
  products = _barrier(jnp.einsum("nmk,nko->nmo", *_barrier((inputs, weights))))
  return _outputs(products, (b, height // 2, width // 2))


def _spread(to_products, weights, shape):
  b, h, w, _ = shape
  to_inputs = jnp.einsum("nmo,nko->nmk", *_barrier((to_products, weights)))
  return _inputs_transposed(_barrier(to_inputs), (b, 2 * h, 2 * w))


def _correlate(inputs, to_products):
  to_weights = jnp.einsum("nmk,nmo->nko", *_barrier((inputs, to_products)))
  return _weights_transposed(_barrier(to_weights))


# Without it the transforms are merged into the products, which are then no
# longer what the library takes. (XLA's CPU compiler drops barriers before it
# merges loops: they keep no transform from being merged into what follows.)
_barrier = lax.optimization_barrier


# ------------------------------------------------------------------ transforms


@functools.cache
def _matrices(tile):
  """What each product reads, [T + 1, T + 1]; what its weights are made of,
  [T + 1, 2]; and what it gives to, [T + 1, T].

  That is Toom and Cook's multiplication of polynomials, transposed.
  """
  *points, _ = _POINTS[tile]

  def at_points(length):
    finite = [[float(p) ** power for power in range(length)] for p in points]
    return np.array([*finite, [0.0] * (length - 1) + [1.0]])

  inputs = np.linalg.inv(at_points(tile + 1)).T
  # In the smallest whole numbers; what this multiplies by, the weights divide.
  scale = 1 / np.min(np.abs(inputs), axis=1, where=inputs != 0, initial=1)
  scale = scale[:, None]
  return np.round(inputs * scale), at_points(2) / scale, at_points(tile)


def _tile_of(parts):
  """T, of the number of products, which is also that of their weights."""
  return math.isqrt(len(parts)) - 1


def _combine(matrix, parts):
  """For each row the sum of the parts that count, as often as they do."""

  def times(weight, part):
    return part if weight == 1 else -part if weight == -1 else weight * part

  return [
    functools.reduce(
      jnp.add,
      [
        times(float(weight), part)
        for weight, part in zip(row, parts, strict=True)
        if weight
      ],
    )
    for row in matrix
  ]


def _inputs(images, tile):
  """[b 2h 2w c] -> [n tiles 4c]."""
  matrix, _, _ = _matrices(tile)
  b, height, width, c = images.shape
  down, across = height // (2 * tile), width // (2 * tile)
  made = images.reshape(b, down, tile, 2, width * c)
  odd, even = (_combine(matrix, parts) for parts in _unfold(made, 1))
  made = jnp.stack([jnp.stack(pair, 2) for pair in zip(odd, even, strict=True)])
  made = made.reshape(tile + 1, b, down, 2, across, tile, 2, c)
  odd, even = (_combine(matrix, parts) for parts in _unfold(made, 4))
  made = [jnp.stack(pair, -2) for pair in zip(odd, even, strict=True)]
  # n b down 2 across 2 c, for each of the n
  made = jnp.stack([part.swapaxes(3, 4) for part in made], 1)
  return made.reshape((tile + 1) ** 2, -1, 4 * c)


def _inputs_transposed(made, shape):
  """[n tiles 4c] -> [b 2h 2w c]: the tiles overlap and are added."""
  b, height, width = shape
  tile = _tile_of(made)
  n = tile + 1
  matrix = _matrices(tile)[0].T
  c = made.shape[-1] // 4
  down, across = height // (2 * tile), width // (2 * tile)
  made = made.reshape(n, n, b, down, across, 2, 2 * c)
  phases = [_combine(matrix, list(made[..., p, :])) for p in range(2)]
  made = jnp.stack(_fold(*phases, axis=2), 3)  # n b down 2*tile across 2*c
  made = made.reshape(n, b * height, across, 2, c)
  phases = [_combine(matrix, list(made[..., p, :])) for p in range(2)]
  return jnp.stack(_fold(*phases, axis=1), 2).reshape(b, height, width, c)


def _unfold(pixels, axis):
  """Pixels [... tiles T 2 ...] to the T + 1 odd and the T + 1 even ones that
  the outputs of each tile are made of, [... tiles ...] each.

  The 4x4 weights of one output meet an odd, an even, an odd and an even pixel,
  from the odd one before the tile to the even one after it.
  """
  tile = pixels.shape[axis + 1]
  pixels = jnp.moveaxis(pixels, (axis + 1, axis + 2), (0, 1))
  even, odd = list(pixels[:, 0]), list(pixels[:, 1])
  odd = [_shift(odd[tile - 1], axis, 1), *odd]
  return odd, [*even, _shift(even[0], axis, -1)]


def _fold(odd, even, axis):
  """The transpose of `_unfold`: the 2 T pixels of each tile, in their order."""
  first, *odd = odd
  *even, last = even
  odd[-1] = odd[-1] + _shift(first, axis, -1)
  even[0] = even[0] + _shift(last, axis, 1)
  return [part for pair in zip(even, odd, strict=True) for part in pair]


def _shift(part, axis, by):
  """Each tile's to the next (1) or the one before (-1); from outside are 0."""
  around = [(0, 0)] * part.ndim
  around[axis] = (1, 0) if by == 1 else (0, 1)
  kept = slice(0, -1) if by == 1 else slice(1, None)
  return jnp.pad(part[(slice(None),) * axis + (kept,)], around)


def _outputs(products, shape):
  """[n tiles o] -> [b h w o]."""
  tile = _tile_of(products)
  n = tile + 1
  matrix = _matrices(tile)[2].T
  b, h, w = shape
  products = products.reshape(n, n, b, h // tile, w // tile, -1)
  rows = _combine(matrix, list(products))
  both = [jnp.stack(_combine(matrix, list(row)), 3) for row in rows]
  return jnp.stack(both, 2).reshape(b, h, w, -1)


def _outputs_transposed(gradient, tile):
  """[b h w o] -> [n tiles o]."""
  matrix = _matrices(tile)[2]
  b, h, w, o = gradient.shape
  parts = gradient.reshape(b, h // tile, tile, w // tile, tile, o)
  rows = _combine(matrix, [parts[:, :, i] for i in range(tile)])
  rows = jnp.stack(rows)  # n b down across tile o
  made = _combine(matrix, [rows[..., i, :] for i in range(tile)])
  return jnp.stack(made, 1).reshape((tile + 1) ** 2, -1, o)


def _weights_transposed(made):
  """[n 4c o] -> [4 4 c o]."""
  n = _tile_of(made) + 1
  matrix = _matrices(n - 1)[1].T
  o = made.shape[-1]
  rows = _combine(matrix, list(made.reshape(n, n, -1, o)))
  both = jnp.stack([jnp.stack(_combine(matrix, list(row))) for row in rows])
  blocks = both.reshape(2, 2, 2, 2, -1, o).transpose(0, 2, 1, 3, 4, 5)
  return blocks.reshape(4, 4, -1, o)

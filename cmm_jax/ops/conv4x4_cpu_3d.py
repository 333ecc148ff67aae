"""The 4x4x4 convolutions of videos on a CPU, composed of 2-D ones.

Along time a convolution of size 4 and stride 2 is one of size 2 and stride 1
over pairs of frames. Winograd's algorithm makes T new frames with T + 1 2-D
convolutions of transformed pairs, where the direct form needs 2 T.
"""

import jax
import jax.numpy as jnp

from cmm_jax.ops import conv4x4_cpu, winograd


def conv(videos: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv`, for videos."""
  if tile := _winograd_tile(videos.shape[1] // 2, kernel):
    return _conv_winograd(videos, kernel, tile)
  b, time, height, width, c = videos.shape
  padded = jnp.pad(videos, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
  # The four input frames of each output frame, side by side as channels.
  windows = jnp.concatenate([padded[:, i : i + time : 2] for i in range(4)], -1)
  frames = windows.reshape(-1, height, width, 4 * c)
  frames = conv4x4_cpu.conv(frames, _merge_time_and_channels(kernel))
  return frames.reshape(b, time // 2, *frames.shape[1:])


def conv_transpose(videos: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv_transpose`, for videos."""
  if tile := _winograd_tile(videos.shape[1], kernel):
    return _conv_transpose_winograd(videos, kernel, tile)
  b, t, h, w, o = videos.shape
  frames = conv4x4_cpu.conv_transpose(
    videos.reshape(-1, h, w, o), _merge_time_and_channels(kernel)
  )
  # Kernel frame a = 2 * s + p is frame p of the s-th pair of frames.
  frames = frames.reshape(b, t, 2 * h, 2 * w, 2, 2, -1)  # s p
  others = ((0, 0),) * 4
  first = jnp.pad(frames[..., 0, :, :], ((0, 0), (0, 1), *others))
  second = jnp.pad(frames[..., 1, :, :], ((0, 0), (1, 0), *others))
  pairs = jnp.moveaxis(first + second, 4, 2)  # [b t+1 2 2h 2w c]
  return pairs.reshape(b, 2 * (t + 1), *pairs.shape[3:])[:, 1:-1]


def _winograd_tile(frames, kernel):
  """The number of frames that Winograd's algorithm makes together, or None.

  It pays at any number of channels, since it also copies fewer frames.

  Args:
    frames: of the layer's shorter videos.
    kernel: [4 4 4 c o].
  """
  if kernel.dtype.itemsize < 4:  # the transforms lose too much of bfloat16
    return None
  return next((tile for tile in (4, 2) if frames % tile == 0), None)


def _merge_time_and_channels(kernel):
  """[t 4 4 c o] -> [4 4 t*c o]."""
  t, _, _, c, o = kernel.shape
  return kernel.transpose(1, 2, 0, 3, 4).reshape(4, 4, t * c, o)


def _conv_winograd(videos, kernel, tile):
  b, time, height, width, c = videos.shape
  pairs = videos.reshape(b, -1, 2 * tile, height, width, c)
  odd, even = winograd.transform_input_1d(pairs, axis=1)
  products = [
    conv4x4_cpu.conv(
      jnp.concatenate(pair, -1).reshape(-1, height, width, 2 * c), part
    )
    for *pair, part in zip(odd, even, _kernels(kernel, tile), strict=True)
  ]
  frames = jnp.stack(winograd.inverse_transform_1d(products, tile), 1)
  return frames.reshape(b, time // 2, *frames.shape[2:])


def _conv_transpose_winograd(videos, kernel, tile):
  """The transposes of the steps of `_conv_winograd`, in reverse."""
  b, t, h, w, o = videos.shape
  tiles = videos.reshape(-1, tile, h, w, o)
  product = jax.ShapeDtypeStruct((len(tiles), h, w, o), videos.dtype)
  (products,) = jax.linear_transpose(
    lambda products: jnp.stack(
      winograd.inverse_transform_1d(products, tile), 1
    ),
    [product] * (tile + 1),
  )(tiles)
  parts = [
    conv4x4_cpu.conv_transpose(*given)
    for given in zip(products, _kernels(kernel, tile), strict=True)
  ]
  c = kernel.shape[3]
  parts = [part.reshape(b, -1, 2 * h, 2 * w, 2, c) for part in parts]
  odd, even = ([part[..., p, :] for part in parts] for p in range(2))
  shape = b, t // tile, 2 * tile, 2 * h, 2 * w, c
  (pairs,) = jax.linear_transpose(
    lambda pairs: winograd.transform_input_1d(pairs, axis=1),
    jax.ShapeDtypeStruct(shape, videos.dtype),
  )((odd, even))
  return pairs.reshape(b, 2 * t, 2 * h, 2 * w, c)


def _kernels(kernel, tile):
  """The 2-D kernels of the T + 1 products, [4 4 2*c o] each."""
  taps = kernel.reshape(2, 2, *kernel.shape[1:])
  return [
    _merge_time_and_channels(part)
    for part in winograd.transform_kernel_1d(list(taps), tile)
  ]

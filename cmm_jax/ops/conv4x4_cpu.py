"""The 4x4 convolutions of images in forms that run fast on a CPU.

XLA's CPU backend is slow at the gradients of strided convolutions and at
dilated inputs. A layer and its transpose need three linear maps between them,
forward and backward; each is written out here, behind a `custom_vjp`:

  conv              [b 2h 2w c] x [4 4 c o] -> [b h w o]
  conv_input_grad   [b h w o]   x [4 4 c o] -> [b 2h 2w c]
  conv_kernel_grad  [b 2h 2w c] x [b h w o] -> [4 4 c o]

The transposed convolution is `conv_input_grad`. Wide layers with many pixels
use Winograd's algorithm, which needs fewer multiplications.
"""

import jax
import jax.numpy as jnp
from jax import lax

from cmm_jax.ops import conv4x4_xla, winograd

# From this height of the smaller image on, `conv_input_grad` is faster as a
# convolution than as a matrix product and an overlapping sum (measured at a
# batch of 64).
_SUBPIXEL_MIN_HEIGHT = 8

# Winograd pays from this number of channels and of tiles in the batch on.
# Below, the transforms take longer than the multiplications they save: a layer
# from 16 to 32 channels on 32 to 128 images of 32 pixels ran 0.75 times as
# fast, one from 64 to 128 up to 1.36 times. Each such layer also takes seconds
# to compile.
_WINOGRAD_MIN_CHANNELS = 64
_WINOGRAD_MIN_TILES = 256


@jax.custom_vjp
def conv(images: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv`, for images."""
  b, height, width, _ = images.shape
  if tile := _winograd_tile((b, height // 2, width // 2), kernel):
    return winograd.conv(images, kernel, tile)
  return _conv(images, kernel)


def _conv_forward(images, kernel):
  return conv(images, kernel), (images, kernel)


def _conv_backward(residuals, gradient):
  images, kernel = residuals
  if tile := _winograd_tile(gradient.shape[:3], kernel):
    return winograd.conv_grads(images, kernel, gradient, tile)
  return (
    _conv_input_grad(gradient, kernel),
    _conv_kernel_grad(images, gradient),
  )


conv.defvjp(_conv_forward, _conv_backward)


@jax.custom_vjp
def conv_transpose(images: jax.Array, kernel: jax.Array) -> jax.Array:
  """As `conv4x4.conv_transpose`, for images."""
  if tile := _winograd_tile(images.shape[:3], kernel):
    return winograd.conv_input_grad(images, kernel, tile)
  return _conv_input_grad(images, kernel)


def _conv_transpose_forward(images, kernel):
  return conv_transpose(images, kernel), (images, kernel)


def _conv_transpose_backward(residuals, gradient):
  images, kernel = residuals
  if tile := _winograd_tile(images.shape[:3], kernel):
    return winograd.conv_and_kernel_grad(gradient, kernel, images, tile)
  return _conv(gradient, kernel), _conv_kernel_grad(gradient, images)


conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)


def _winograd_tile(extent, kernel):
  """The tile size of Winograd's algorithm, or None where it does not pay.

  Larger tiles save more multiplications but have more transformed weights,
  each of which needs enough tiles (measured at batches of 16 to 256).

  Args:
    extent: number, height and width of the layer's smaller images.
    kernel: [4 4 c o].
  """
  b, h, w = extent
  if min(kernel.shape[2:]) < _WINOGRAD_MIN_CHANNELS or min(h, w) < 4:
    return None
  if kernel.dtype.itemsize < 4:  # the transforms lose too much of bfloat16
    return None
  images = b if isinstance(b, int) else 32  # symbolic: at least a clip's frames
  for tile in (4, 2):
    tiles = images * h * w // tile**2
    if h % tile == w % tile == 0 and tiles >= _WINOGRAD_MIN_TILES:
      return tile
  return None


# --------------------------------------------------- without Winograd's tiles


def _conv(images, kernel):
  b, height, width, c = images.shape
  if height == width == 2:  # only the middle of the kernel meets pixels
    middle = kernel[1:3, 1:3].reshape(4 * c, -1)
    return (images.reshape(b, 4 * c) @ middle).reshape(b, 1, 1, -1)
  return conv4x4_xla.conv(images, kernel)


def _conv_kernel_grad(images, gradient):
  b, height, width, c = images.shape
  o = gradient.shape[-1]
  if height == width == 2:
    middle = images.reshape(b, 4 * c).T @ gradient.reshape(b, o)
    border = ((1, 1), (1, 1), (0, 0), (0, 0))
    return jnp.pad(middle.reshape(2, 2, c, o), border)
  kernel = jax.ShapeDtypeStruct((4, 4, c, o), images.dtype)
  transpose = jax.linear_transpose(
    lambda kernel: conv4x4_xla.conv(images, kernel), kernel
  )
  return transpose(gradient)[0]


def _conv_input_grad(gradient, kernel):
  b, h, w, o = gradient.shape
  c = kernel.shape[2]
  if h == w == 1:
    middle = kernel[1:3, 1:3].reshape(4 * c, o)
    return (gradient.reshape(b, o) @ middle.T).reshape(b, 2, 2, c)
  if h >= _SUBPIXEL_MIN_HEIGHT:
    return _conv_input_grad_subpixel(gradient, kernel)
  columns = gradient.reshape(-1, o) @ kernel.reshape(16 * c, o).T
  # Kernel row a = 2 * s + p is row p of the s-th block of two rows. The 2x2
  # blocks of the four shifts (s, t) are padded to one extent and summed.
  columns = columns.reshape(b, h, w, 2, 2, 2, 2, c)  # s p t q
  blocks = 0.0
  for s in range(2):
    for t in range(2):
      padding = ((0, 0), (s, 1 - s), (t, 1 - t), (0, 0), (0, 0), (0, 0))
      blocks = blocks + jnp.pad(columns[:, :, :, s, :, t], padding)
  return _blocks_to_image(blocks)


def _conv_input_grad_subpixel(gradient, kernel):
  """A 2x2 convolution to 4c channels, which are then rearranged in space."""
  b, h, w, o = gradient.shape
  c = kernel.shape[2]
  kernel = kernel.reshape(2, 2, 2, 2, c, o)[::-1, :, ::-1]  # s p t q
  kernel = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, o, 4 * c)
  blocks = lax.conv_general_dilated(
    gradient,
    kernel,
    window_strides=(1, 1),
    padding=[(1, 1), (1, 1)],
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  return _blocks_to_image(blocks.reshape(b, h + 1, w + 1, 2, 2, c))


def _blocks_to_image(blocks):
  """[b h+1 w+1 2 2 c] -> [b 2h 2w c], cropping the border of one pixel."""
  b, h, w, _, _, c = blocks.shape
  image = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c)
  return image[:, 1:-1, 1:-1]

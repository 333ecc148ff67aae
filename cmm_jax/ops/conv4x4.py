"""The convolutions of size 4 and stride 2 that every network here is made of.

XLA's CPU backend is slow at the gradients of strided convolutions and at
dilated inputs. Each layer of stride 2 and its transpose need three linear maps
between them, forward and backward, so these are spelled out here in the forms
that a CPU does well, behind a `custom_vjp`:

  reduce    [b 2h 2w c] x [4 4 c o] -> [b h w o]    the convolution
  spread    [b h w o]   x [4 4 c o] -> [b 2h 2w c]  its transpose in the image
  correlate [b 2h 2w c] x [b h w o] -> [4 4 c o]    its transpose in the weights

Wide layers on many pixels take these from `winograd`, with fewer products.

Other backends have convolutions of their own and get the plain form. Which one
runs is decided by the platform that a program is compiled for, not by the one
it was traced on, so that an exported program has both. Nothing above this
module knows. The environment variable CMM_JAX_CONVOLUTIONS, "plain" or "cpu",
sets one form for all platforms; it is read when a program is traced. Weights
that are `prepared` for this process' platform are the exception: what they were
made for then, `shrink` and `grow` do.
"""

import functools
import os
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cmm_jax.ops import winograd

Form = Literal["plain", "cpu"]
Prepared = Float[Array, "n k o"]
Layer = Callable[[jax.Array, jax.Array], jax.Array]

SETTING = "CMM_JAX_CONVOLUTIONS"

_LAYOUT = ("NHWC", "HWIO", "NHWC")
_VIDEO_LAYOUT = ("NDHWC", "DHWIO", "NDHWC")

# From this height of the small image on, `spread` is faster as a convolution
# than as one matrix product and an overlapping sum (measured at batch 64).
_SUBPIXEL_FROM = 8

# When Winograd's filtering pays: with matrices of some width, and with as many
# tiles in the batch. Narrower, the transforms take longer than the products
# that they save: for 32 to 128 images of 32 pixels a layer from 16 to 32
# channels was 0.75 times as fast, forward and backward, one from 64 to 128 up
# to 1.36 times; and each takes seconds more to compile.
_TILED_FROM_CHANNELS = 64
_TILES_FROM = 256


def form_by_setting() -> Form | None:
  """The form for all platforms, if one was set.

  Raises:
    ValueError: there is no such form.
  """
  form = os.environ.get(SETTING, "")
  if form not in ("", "plain", "cpu"):
    raise ValueError(
      f'{SETTING} is {form!r}: set it to "plain" or "cpu", or leave it out for '
      "the form that suits the platform."
    )
  return form or None


def shrink(
  images: Float[Array, "b h w c"],
  kernel: Float[Array, "4 4 c o"] | Prepared,
  form: Form | None = None,
) -> Float[Array, "b h//2 w//2 o"]:
  """A 4x4 convolution, stride 2, padding 1; height and width are even.

  What `prepared` made of a kernel is taken in its place, whatever the form.
  """
  if kernel.ndim == 3:
    return winograd.reduce(images, kernel)
  return _choose(form, _shrink, _reduce_plain)(images, kernel)


def grow(
  images: Float[Array, "b h w o"],
  kernel: Float[Array, "4 4 c o"] | Prepared,
  form: Form | None = None,
) -> Float[Array, "b h*2 w*2 c"]:
  """The transposed 4x4 convolution, stride 2, padding 1.

  The kernel is that of the convolution it transposes, [4, 4, out, in]: torch's
  `ConvTranspose2d.weight` transposed by (2, 3, 1, 0). What `prepared` made of
  one is taken in its place, whatever the form.
  """
  if kernel.ndim == 3:
    return winograd.spread(images, kernel)
  return _choose(form, _grow, _spread_plain)(images, kernel)


def shrink_video(
  frames: Float[Array, "b t h w c"],
  kernel: Float[Array, "4 4 4 c o"],
  form: Form | None = None,
) -> Float[Array, "b t//2 h//2 w//2 o"]:
  """As `shrink`, in time too."""
  return _choose(form, _shrink_video, _reduce_video_plain)(frames, kernel)


def grow_video(
  frames: Float[Array, "b t h w o"],
  kernel: Float[Array, "4 4 4 c o"],
  form: Form | None = None,
) -> Float[Array, "b t*2 h*2 w*2 c"]:
  """As `grow`, in time too; the kernel is [4, 4, 4, out, in]."""
  return _choose(form, _grow_video, _spread_video_plain)(frames, kernel)


def prepared(
  kernel: Float[Array, "4 4 c o"], extent: tuple[int, int, int]
) -> Prepared | None:
  """What `shrink` and `grow` take in place of a kernel that stays as it is.

  Made once, it saves each call what depends on the weights alone.

  Args:
    kernel: of the layer.
    extent: number, height and width of the layer's smaller images.

  Returns:
    Winograd's weights, or None where the layer wants the kernel itself: on
    other platforms, and where filtering does not pay.
  """
  if (form_by_setting() or jax.default_backend()) != "cpu":
    return None
  tile = _tile(extent, kernel)
  return winograd.product_weights(kernel, tile) if tile else None


def _choose(form: Form | None, cpu: Layer, plain: Layer) -> Layer:
  """One of the two forms, or both of them with the platform's choice."""
  form = form or form_by_setting()
  if form is None:
    return _by_platform(cpu, plain)
  return cpu if form == "cpu" else plain


@functools.cache
def _by_platform(cpu: Layer, plain: Layer) -> Layer:
  """Leaves the choice to the platform, forward and backward.

  Differentiated as it is, the choice would keep what either form wants for its
  backward pass; both are linear in images and in weights, so these are enough.
  """

  @jax.custom_vjp
  def layer(images, kernel):
    return lax.platform_dependent(images, kernel, cpu=cpu, default=plain)

  def forward(images, kernel):
    return layer(images, kernel), (images, kernel)

  def transpose(form, images, kernel, gradient):
    return jax.vjp(form, images, kernel)[1](gradient)

  def backward(saved, gradient):
    return lax.platform_dependent(
      *saved,
      gradient,
      cpu=functools.partial(transpose, cpu),
      default=functools.partial(transpose, plain),
    )

  layer.defvjp(forward, backward)
  return layer


# ----------------------------------------------------------------- plain forms


def _reduce_plain(images, kernel):
  return lax.conv_general_dilated(
    images, kernel, (2, 2), [(1, 1), (1, 1)], dimension_numbers=_LAYOUT
  )


def _spread_plain(images, kernel):
  return lax.conv_general_dilated(
    images,
    jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
    (1, 1),
    [(2, 2), (2, 2)],
    lhs_dilation=(2, 2),
    dimension_numbers=_LAYOUT,
  )


def _reduce_video_plain(frames, kernel):
  return lax.conv_general_dilated(
    frames, kernel, (2, 2, 2), [(1, 1)] * 3, dimension_numbers=_VIDEO_LAYOUT
  )


def _spread_video_plain(frames, kernel):
  return lax.conv_general_dilated(
    frames,
    jnp.flip(kernel, (0, 1, 2)).swapaxes(3, 4),
    (1, 1, 1),
    [(2, 2)] * 3,
    lhs_dilation=(2, 2, 2),
    dimension_numbers=_VIDEO_LAYOUT,
  )


# ------------------------------------------------------------------- CPU forms


def _reduce(images, kernel):
  b, height, width, c = images.shape
  if height == width == 2:  # of the 4x4 weights only the middle meets pixels
    middle = kernel[1:3, 1:3].reshape(4 * c, -1)
    return (images.reshape(b, 4 * c) @ middle).reshape(b, 1, 1, -1)
  return _reduce_plain(images, kernel)


def _spread(images, kernel):
  b, h, w, o = images.shape
  c = kernel.shape[2]
  if h == w == 1:
    middle = kernel[1:3, 1:3].reshape(4 * c, o)
    return (images.reshape(b, o) @ middle.T).reshape(b, 2, 2, c)
  if h >= _SUBPIXEL_FROM:
    return _spread_subpixel(images, kernel)
  columns = images.reshape(-1, o) @ kernel.reshape(16 * c, o).T
  # Kernel row a = 2 * s + p: block s of two rows, row p of the block; the four
  # shifts (s, t) of the 2x2 blocks are padded to one size and added.
  columns = columns.reshape(b, h, w, 2, 2, 2, 2, c)  # s p t q
  blocks = 0.0
  for s in range(2):
    for t in range(2):
      around = ((0, 0), (s, 1 - s), (t, 1 - t), (0, 0), (0, 0), (0, 0))
      blocks = blocks + jnp.pad(columns[:, :, :, s, :, t], around)
  return _blocks_to_image(blocks)


def _spread_subpixel(images, kernel):
  """As a 2x2 convolution to 4c channels, which are then laid out in space."""
  b, h, w, o = images.shape
  c = kernel.shape[2]
  kernel = kernel.reshape(2, 2, 2, 2, c, o)[::-1, :, ::-1]  # s p t q
  kernel = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, o, 4 * c)
  blocks = lax.conv_general_dilated(
    images, kernel, (1, 1), [(1, 1), (1, 1)], dimension_numbers=_LAYOUT
  )
  return _blocks_to_image(blocks.reshape(b, h + 1, w + 1, 2, 2, c))


def _blocks_to_image(blocks):
  """[b h+1 w+1 2 2 c] -> [b 2h 2w c], without the padding of one pixel."""
  b, h, w, _, _, c = blocks.shape
  image = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c)
  return image[:, 1:-1, 1:-1]


def _correlate(images, gradient):
  b, height, width, c = images.shape
  o = gradient.shape[-1]
  if height == width == 2:
    middle = images.reshape(b, 4 * c).T @ gradient.reshape(b, o)
    around = ((1, 1), (1, 1), (0, 0), (0, 0))
    return jnp.pad(middle.reshape(2, 2, c, o), around)
  kernel = jax.ShapeDtypeStruct((4, 4, c, o), images.dtype)
  transpose = jax.linear_transpose(lambda k: _reduce_plain(images, k), kernel)
  return transpose(gradient)[0]


@jax.custom_vjp
def _shrink(images, kernel):
  b, height, width, _ = images.shape
  if tile := _tile((b, height // 2, width // 2), kernel):
    return winograd.reduce(images, winograd.product_weights(kernel, tile))
  return _reduce(images, kernel)


def _shrink_forward(images, kernel):
  return _shrink(images, kernel), (images, kernel)


def _shrink_backward(saved, gradient):
  images, kernel = saved
  if tile := _tile(gradient.shape[:3], kernel):
    return winograd.spread_and_correlate(images, kernel, gradient, tile)
  return _spread(gradient, kernel), _correlate(images, gradient)


_shrink.defvjp(_shrink_forward, _shrink_backward)


@jax.custom_vjp
def _grow(images, kernel):
  if tile := _tile(images.shape[:3], kernel):
    return winograd.spread(images, winograd.product_weights(kernel, tile))
  return _spread(images, kernel)


def _grow_forward(images, kernel):
  return _grow(images, kernel), (images, kernel)


def _grow_backward(saved, gradient):
  images, kernel = saved
  if tile := _tile(images.shape[:3], kernel):
    return winograd.reduce_and_correlate(gradient, kernel, images, tile)
  return _reduce(gradient, kernel), _correlate(gradient, images)


_grow.defvjp(_grow_forward, _grow_backward)


def _tile(extent, kernel):
  """The size of Winograd's tiles if they pay, for small images of this extent.

  The larger ones save more products, but more weights come of them, which each
  have to meet enough tiles (measured at batches of 16 to 256).
  """
  b, h, w = extent
  if min(kernel.shape[2:]) < _TILED_FROM_CHANNELS or min(h, w) < 4:
    return None
  if kernel.dtype.itemsize < 4:  # the transforms need the digits
    return None
  images = b if isinstance(b, int) else 32  # a symbol: at least a clip's frames
  if h % 4 == w % 4 == 0 and images * h * w // 16 >= _TILES_FROM:
    return 4
  if h % 2 == w % 2 == 0 and images * h * w // 4 >= _TILES_FROM:
    return 2
  return None


def _shrink_video(frames, kernel):
  if tile := _tile_in_time(frames.shape[1] // 2, kernel):
    return winograd.shrink_video(frames, kernel, tile, _shrink)
  b, t, height, width, c = frames.shape
  padded = jnp.pad(frames, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
  # The four frames below each new one, side by side as channels.
  windows = jnp.concatenate([padded[:, i : i + t : 2] for i in range(4)], -1)
  flat_kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(4, 4, 4 * c, -1)
  made = _shrink(windows.reshape(-1, height, width, 4 * c), flat_kernel)
  return made.reshape(b, t // 2, *made.shape[1:])


def _grow_video(frames, kernel):
  if tile := _tile_in_time(frames.shape[1], kernel):
    return winograd.grow_video(frames, kernel, tile, _grow)
  b, t, h, w, o = frames.shape
  c = kernel.shape[3]
  flat_kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(4, 4, 4 * c, o)
  made = _grow(frames.reshape(-1, h, w, o), flat_kernel)
  # Tap a = 2 * s + p of time: block s of two frames, frame p of the block.
  made = made.reshape(b, t, 2 * h, 2 * w, 2, 2, c)  # s p
  around = ((0, 0),) * 4
  first = jnp.pad(made[..., 0, :, :], ((0, 0), (0, 1), *around))
  second = jnp.pad(made[..., 1, :, :], ((0, 0), (1, 0), *around))
  blocks = jnp.moveaxis(first + second, 4, 2)  # [b t+1 2 2h 2w c]
  return blocks.reshape(b, 2 * (t + 1), 2 * h, 2 * w, c)[:, 1:-1]


def _tile_in_time(frames, kernel):
  """As `_tile`, for the smaller number of frames: it spares copies of them, so
  that it pays for any number of channels."""
  if kernel.dtype.itemsize < 4:
    return None
  return next((tile for tile in (4, 2) if frames % tile == 0), None)

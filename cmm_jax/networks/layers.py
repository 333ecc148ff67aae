"""The blocks that the convolutional networks share.

Every convolution has size 4 (section 4.1). One that feeds a BatchNorm carries
no bias, since the normalisation would take it away again.

A layer computes in the type of what it is given, float32 or bfloat16; weights
and statistics are float32 always.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cmm_jax.ops import conv4x4

# The collection of weights that were prepared for use, in place of kernels.
PREPARED = "prepared"

LEAK = 0.2  # slope of LeakyReLU below zero (ours; pix2pix and DCGAN)

# Weights start at a deviation of 0.02 in DCGAN and pix2pix; scaled by the
# number of inputs instead, narrow and wide networks start alike (ours).
_kernel_init = nn.initializers.variance_scaling(
  2.0 / (1 + LEAK**2), "fan_in", "normal"
)


def leaky_relu(x: Array) -> Array:
  """LeakyReLU with this project's slope."""
  return nn.leaky_relu(x, LEAK)


class BatchNorm(nn.Module):
  """BatchNorm over the global batch.

  `axis_name` is the mapped axis over which the batch is split, if any; it is
  not looked at when the running statistics are used.
  """

  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b *extent c"], train: bool
  ) -> Float[Array, "b *extent c"]:
    return nn.BatchNorm(
      use_running_average=not train,
      momentum=0.9,  # as PyTorch's default of 0.1, counted the other way round
      epsilon=1e-5,
      dtype=x.dtype,
      axis_name=self.axis_name if train else None,
      name="norm",
    )(x)


class Downsample(nn.Module):
  """Conv(4,2,1): halves height and width."""

  features: int
  use_bias: bool = True

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"]
  ) -> Float[Array, "b h//2 w//2 {self.features}"]:
    b, h, w, c = x.shape
    shape = (4, 4, c, self.features)
    extent = b, h // 2, w // 2
    kernel = _kernel(self, x.dtype, extent, _kernel_init, shape)
    x = conv4x4.shrink(x, kernel)
    return _with_bias(self, x) if self.use_bias else x


class Upsample(nn.Module):
  """The transposed Conv(4,2,1): doubles height and width.

  Its first weights are scaled by `gain`.
  """

  features: int
  use_bias: bool = True
  gain: float = 1.0

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"]
  ) -> Float[Array, "b h*2 w*2 {self.features}"]:
    *extent, o = x.shape
    shape = (4, 4, self.features, o)
    kernel = _kernel(self, x.dtype, extent, _grow_init, shape, self.gain)
    x = conv4x4.grow(x, kernel)
    return _with_bias(self, x) if self.use_bias else x


class DownsampleVideo(nn.Module):
  """`Downsample` in time too: halves the frames' number, height and width."""

  features: int
  use_bias: bool = True

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t h w c"]
  ) -> Float[Array, "b t//2 h//2 w//2 {self.features}"]:
    shape = (4, 4, 4, x.shape[-1], self.features)
    kernel = self.param("kernel", _kernel_init, shape)
    x = conv4x4.shrink_video(x, kernel.astype(x.dtype))
    return _with_bias(self, x) if self.use_bias else x


class UpsampleVideo(nn.Module):
  """`Upsample` in time too: doubles the frames' number, height and width."""

  features: int
  use_bias: bool = True
  gain: float = 1.0

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t h w c"]
  ) -> Float[Array, "b t*2 h*2 w*2 {self.features}"]:
    shape = (4, 4, 4, self.features, x.shape[-1])
    kernel = self.param("kernel", _grow_init, shape, self.gain)
    x = conv4x4.grow_video(x, kernel.astype(x.dtype))
    return _with_bias(self, x) if self.use_bias else x


class DenseHead(nn.Module):
  """A convolution over its whole map: one vector, as a dense layer gives it."""

  features: int

  @nn.compact
  def __call__(
    self, x: Float[Array, "b *extent c"]
  ) -> Float[Array, "b {self.features}"]:
    x = x.reshape(x.shape[0], -1)
    return nn.Dense(
      self.features, dtype=x.dtype, kernel_init=_kernel_init, name="dense"
    )(x)


class DenseStem(nn.Module):
  """The transposed Conv(4,1,0) on a 1x1 map, as a dense layer gives it."""

  features: int

  @nn.compact
  def __call__(
    self, x: Float[Array, "b d"]
  ) -> Float[Array, "b 4 4 {self.features}"]:
    x = nn.Dense(
      16 * self.features,
      use_bias=False,
      dtype=x.dtype,
      kernel_init=_kernel_init,
      name="dense",
    )(x)
    return x.reshape(-1, 4, 4, self.features)


def pyramid(image_size: int, width: int, levels: int) -> tuple[int, ...]:
  """Channels of `levels` halving layers: the width doubles up to eightfold.

  Raises:
    ValueError: the image cannot be halved that often.
  """
  if image_size % 2**levels:
    raise ValueError(
      f"Images of {image_size} pixels cannot be halved {levels} times; take a "
      f"multiple of {2**levels}."
    )
  return tuple(width * min(2**i, 8) for i in range(levels))


def levels_down_to(image_size: int, side: int) -> int:
  """How often an image is halved until its side is `side` pixels.

  Raises:
    ValueError: halving does not lead there.
  """
  levels = (image_size // side).bit_length() - 1
  if levels < 1 or side * 2**levels != image_size:
    raise ValueError(
      f"Images of {image_size} pixels do not halve down to {side}; take 64 or "
      "128."
    )
  return levels


def _kernel(module, dtype, extent, init, *args):
  """The layer's weights, prepared if that was done before.

  Does it where the collection of such weights may be written to.
  """
  if module.has_variable(PREPARED, "kernel"):
    return module.get_variable(PREPARED, "kernel")
  kernel = module.param("kernel", init, *args).astype(dtype)
  if module.is_mutable_collection(PREPARED) and not module.is_initializing():
    prepared = conv4x4.prepared(kernel, tuple(extent))
    if prepared is not None:
      module.put_variable(PREPARED, "kernel", prepared)
  return kernel


def _grow_init(key, shape, gain):
  """`_kernel_init` for [4, 4, out, in], where 4 of 16 weights meet a pixel, or
  for [4, 4, 4, out, in], where 8 of 64 do."""
  *extent, features, inputs = shape
  kernel = _kernel_init(key, (*extent, inputs, features), jnp.float32)
  return 2 ** (len(extent) / 2) * gain * kernel.swapaxes(-2, -1)


def _with_bias(module: nn.Module, x: jax.Array) -> jax.Array:
  bias = module.param("bias", nn.initializers.zeros_init(), (x.shape[-1],))
  return x + jnp.broadcast_to(bias.astype(x.dtype), x.shape)

"""Layers that the convolutional networks share.

Every convolution has size 4 (section 4.1). A convolution before a BatchNorm
has no bias, since the normalization would cancel it.

Layers compute in the dtype of their input, float32 or bfloat16; parameters and
running statistics are always float32.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cmm_jax.ops import conv4x4

LEAK = 0.2  # negative slope of LeakyReLU (ours, after pix2pix and DCGAN)

# DCGAN and pix2pix start at a standard deviation of 0.02. Scaled by fan-in
# instead, narrow and wide networks start alike (ours).
_kernel_init = nn.initializers.variance_scaling(
  2.0 / (1 + LEAK**2), "fan_in", "normal"
)


def leaky_relu(x: Array) -> Array:
  """LeakyReLU with the negative slope `LEAK`."""
  return nn.leaky_relu(x, LEAK)


class BatchNorm(nn.Module):
  """BatchNorm over the global batch.

  Attributes:
    axis_name: the mapped axis along which the batch is split, if any; unused
      with the running statistics, that is, unless `train`.
  """

  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b *extent c"], train: bool
  ) -> Float[Array, "b *extent c"]:
    return nn.BatchNorm(
      use_running_average=not train,
      momentum=0.9,  # PyTorch's default: its 0.1 is one minus Flax's
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
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param("kernel", _kernel_init, shape)
    x = conv4x4.conv(x, kernel.astype(x.dtype))
    return _add_bias(self, x) if self.use_bias else x


class Upsample(nn.Module):
  """Transposed Conv(4,2,1): doubles height and width.

  Attributes:
    features: number of output channels.
    use_bias: whether to add a bias.
    gain: factor on the initial kernel.
  """

  features: int
  use_bias: bool = True
  gain: float = 1.0

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"]
  ) -> Float[Array, "b h*2 w*2 {self.features}"]:
    shape = (4, 4, self.features, x.shape[-1])
    kernel = self.param("kernel", _transposed_init, shape, self.gain)
    x = conv4x4.conv_transpose(x, kernel.astype(x.dtype))
    return _add_bias(self, x) if self.use_bias else x


class DownsampleVideo(nn.Module):
  """`Downsample` in time too: halves the number of frames as well."""

  features: int
  use_bias: bool = True

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t h w c"]
  ) -> Float[Array, "b t//2 h//2 w//2 {self.features}"]:
    shape = (4, 4, 4, x.shape[-1], self.features)
    kernel = self.param("kernel", _kernel_init, shape)
    x = conv4x4.conv(x, kernel.astype(x.dtype))
    return _add_bias(self, x) if self.use_bias else x


class UpsampleVideo(nn.Module):
  """`Upsample` in time too: doubles the number of frames as well."""

  features: int
  use_bias: bool = True
  gain: float = 1.0

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t h w c"]
  ) -> Float[Array, "b t*2 h*2 w*2 {self.features}"]:
    shape = (4, 4, 4, self.features, x.shape[-1])
    kernel = self.param("kernel", _transposed_init, shape, self.gain)
    x = conv4x4.conv_transpose(x, kernel.astype(x.dtype))
    return _add_bias(self, x) if self.use_bias else x


class DenseHead(nn.Module):
  """A convolution over the whole feature map to a vector, as a dense layer."""

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
  """Transposed Conv(4,1,0) on a 1x1 feature map, as a dense layer."""

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
  """Channels of each of `levels` downsampling layers.

  The first has `width`; each next one twice as many, up to eight times.

  Raises:
    ValueError: the image cannot be halved `levels` times.
  """
  if image_size % 2**levels:
    raise ValueError(
      f"Images of {image_size} pixels cannot be halved {levels} times; take a "
      f"multiple of {2**levels}."
    )
  return tuple(width * min(2**i, 8) for i in range(levels))


def levels_down_to(image_size: int, side: int) -> int:
  """Number of times an image is halved until it is `side` pixels wide.

  Raises:
    ValueError: halving does not end at `side`.
  """
  levels = (image_size // side).bit_length() - 1
  if levels < 1 or side * 2**levels != image_size:
    raise ValueError(
      f"Images of {image_size} pixels do not halve down to {side}; take 64 or "
      "128."
    )
  return levels


def _transposed_init(key, shape, gain):
  """`_kernel_init` for [*size out in].

  Of the 4 taps along an axis only 2 reach a given output pixel.
  """
  *size, features, inputs = shape
  kernel = _kernel_init(key, (*size, inputs, features), jnp.float32)
  return 2 ** (len(size) / 2) * gain * kernel.swapaxes(-2, -1)


def _add_bias(module: nn.Module, x: jax.Array) -> jax.Array:
  bias = module.param("bias", nn.initializers.zeros_init(), (x.shape[-1],))
  return x + jnp.broadcast_to(bias.astype(x.dtype), x.shape)

"""The VAE: landmark image or face to embedding and back (section 3.2)."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers


class ImageVAE(nn.Module):
  """Symmetric convolutional VAE of five layers at 64 pixels (section 4.1).

  The decoder ends before its last function: the losses take landmark images'
  logits as they are, and a sigmoid makes the image in [0, 1] of them; a tanh
  makes faces in [-1, 1].
  """

  embedding_dim: int = 100
  width: int = 64  # channels of the first layer; doubled by each further one
  image_size: int = 64
  image_channels: int = 1
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  def setup(self):
    levels = layers.levels_down_to(self.image_size, 4)
    channels = layers.pyramid(self.image_size, self.width, levels)
    self.encoder = _Encoder(channels, self.embedding_dim, self.axis_name)
    self.decoder = _Decoder(channels, self.image_channels, self.axis_name)

  def __call__(
    self, images: Float[Array, "b h w c"], train: bool = False
  ) -> tuple[Float[Array, "b d"], Float[Array, "b d"], Float[Array, "b h w c"]]:
    """The mean, the log-variance and what is decoded from the mean."""
    mean, log_variance = self.encode(images, train)
    return mean, log_variance, self.decode(mean, train)

  def encode(
    self,
    images: Float[Array, "b h w {self.image_channels}"],
    train: bool = False,
  ) -> tuple[Float[Array, "b d"], Float[Array, "b d"]]:
    """Images to the embedding's mean and log-variance."""
    mean, log_variance = self.encoder(images.astype(self.dtype), train)
    return mean.astype(jnp.float32), log_variance.astype(jnp.float32)

  def decode(
    self, embeddings: Float[Array, "b d"], train: bool = False
  ) -> Float[Array, "b h w {self.image_channels}"]:
    """Embeddings to the images before the last function."""
    decoded = self.decoder(embeddings.astype(self.dtype), train)
    return decoded.astype(jnp.float32)


class _Encoder(nn.Module):
  channels: tuple[int, ...]
  embedding_dim: int
  axis_name: str | None

  @nn.compact
  def __call__(self, x, train):
    for i, features in enumerate(self.channels):
      x = layers.Downsample(features, use_bias=i == 0, name=f"conv_{i}")(x)
      if i > 0:  # "except for the first one" (section 4.1)
        x = layers.BatchNorm(self.axis_name, name=f"norm_{i}")(x, train)
      x = layers.leaky_relu(x)
    mean = layers.DenseHead(self.embedding_dim, name="mean")(x)
    return mean, layers.DenseHead(self.embedding_dim, name="log_variance")(x)


class _Decoder(nn.Module):
  channels: tuple[int, ...]
  image_channels: int
  axis_name: str | None

  @nn.compact
  def __call__(self, x, train):
    *upper, top = self.channels
    x = layers.DenseStem(top, name="conv_0")(x)
    outputs = *reversed(upper), self.image_channels
    for i, features in enumerate(outputs, start=1):
      x = layers.BatchNorm(self.axis_name, name=f"norm_{i - 1}")(x, train)
      x = layers.leaky_relu(x)
      last = i == len(self.channels)
      x = layers.Upsample(features, use_bias=last, name=f"conv_{i}")(x)
    return x

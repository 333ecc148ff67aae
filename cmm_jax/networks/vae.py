"""The VAE between images and embeddings (section 3.2)."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers


class ImageVAE(nn.Module):
  """Symmetric convolutional VAE, five layers at 64 pixels (section 4.1).

  The decoder returns logits: a sigmoid turns them into landmark images in
  [0, 1], a tanh into faces in [-1, 1].

  Attributes:
    embedding_dim: size of the embedding, the paper's h.
    width: channels of the first layer; see `layers.pyramid`.
    image_size: height and width in pixels.
    image_channels: 1 for landmark images, 3 for faces.
    axis_name: as in `layers.BatchNorm`.
    dtype: of the layers' inputs and outputs; the VAE's own are float32.
  """

  embedding_dim: int = 100
  width: int = 64
  image_size: int = 64
  image_channels: int = 1
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32

  def setup(self):
    levels = layers.levels_down_to(self.image_size, 4)
    channels = layers.pyramid(self.image_size, self.width, levels)
    self.encoder = _Encoder(channels, self.embedding_dim, self.axis_name)
    self.decoder = _Decoder(channels, self.image_channels, self.axis_name)

  def __call__(
    self, images: Float[Array, "b h w c"], train: bool = False
  ) -> tuple[Float[Array, "b d"], Float[Array, "b d"], Float[Array, "b h w c"]]:
    """Returns mean, log-variance and the logits decoded from the mean."""
    mean, log_variance = self.encode(images, train)
    return mean, log_variance, self.decode(mean, train)

  def encode(
    self,
    images: Float[Array, "b h w {self.image_channels}"],
    train: bool = False,
  ) -> tuple[Float[Array, "b d"], Float[Array, "b d"]]:
    """Maps images to the mean and log-variance of their embeddings."""
    mean, log_variance = self.encoder(images.astype(self.dtype), train)
    return mean.astype(jnp.float32), log_variance.astype(jnp.float32)

  def decode(
    self, embeddings: Float[Array, "b d"], train: bool = False
  ) -> Float[Array, "b h w {self.image_channels}"]:
    """Maps embeddings to the logits of images."""
    logits = self.decoder(embeddings.astype(self.dtype), train)
    return logits.astype(jnp.float32)


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
  channels: tuple[int, ...]  # of the encoder
  image_channels: int
  axis_name: str | None

  @nn.compact
  def __call__(self, x, train):
    *lower, top = self.channels
    x = layers.DenseStem(top, name="conv_0")(x)
    outputs = *reversed(lower), self.image_channels
    for i, features in enumerate(outputs, start=1):
      x = layers.BatchNorm(self.axis_name, name=f"norm_{i - 1}")(x, train)
      x = layers.leaky_relu(x)
      is_last = i == len(self.channels)
      x = layers.Upsample(features, use_bias=is_last, name=f"conv_{i}")(x)
    return x

"""Landmark image and neutral face to face, and its judge (section 3.4)."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers


class Translator(nn.Module):
  """U-Net of six halving and six doubling layers at 64 pixels (section 4.1).

  With `from_neutral` the network draws what differs from the neutral face: the
  face is added before the last tanh (ours; False is the paper's form). The
  layers and their number of weights are the same.
  """

  width: int = 64  # channels of the first layer; doubled up to eightfold
  image_size: int = 64
  from_neutral: bool = False
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self,
    neutral: Float[Array, "b h w 3"],
    landmark_image: Float[Array, "b h w 1"],
    train: bool = False,
  ) -> Float[Array, "b h w 3"]:
    """Faces in [-1, 1] and landmark images in [0, 1] to faces in [-1, 1]."""
    levels = layers.levels_down_to(self.image_size, 1)
    channels = layers.pyramid(self.image_size, self.width, levels)
    last = levels - 1

    x = jnp.concatenate([neutral, landmark_image], axis=-1).astype(self.dtype)
    skips = []
    for i, features in enumerate(channels):
      # No bias on any, as in pix2pix, though the first and the last layer have
      # no BatchNorm that would take its place.
      x = layers.Downsample(features, use_bias=False, name=f"down_{i}")(x)
      if i not in (0, last):
        x = layers.BatchNorm(self.axis_name, name=f"down_norm_{i}")(x, train)
      x = nn.relu(x) if i == last else layers.leaky_relu(x)
      skips.append(x)

    for i, features in enumerate(reversed(channels[:-1])):
      x = layers.Upsample(features, use_bias=False, name=f"up_{i}")(x)
      x = layers.BatchNorm(self.axis_name, name=f"up_norm_{i}")(x, train)
      x = nn.relu(x)
      x = jnp.concatenate([x, skips[last - 1 - i]], axis=-1)
    # Beside the neutral face it starts at nearly nothing: training then goes on
    # from the neutral face instead of from noise.
    gain = 0.01 if self.from_neutral else 1.0
    x = layers.Upsample(3, gain=gain, name=f"up_{last}")(x).astype(jnp.float32)
    if self.from_neutral:
      # The limit keeps arctanh finite at pure black and white.
      x = x + jnp.arctanh(jnp.clip(neutral, -0.99, 0.99))
    return jnp.tanh(x)


class Discriminator(nn.Module):
  """Judges pairs of faces (section 3.4, section 4.1) or faces, cell by cell."""

  width: int = 64
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self, *faces: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b cells_h cells_w 1"]:
    """One logit per cell of the last map, high where the faces look real."""
    x = jnp.concatenate(faces, axis=-1).astype(self.dtype)
    for i in range(4):
      features = self.width * 2**i
      if i < 3:
        x = layers.Downsample(features, use_bias=i == 0, name=f"conv_{i}")(x)
      else:
        x = _conv(features, x, use_bias=False, name=f"conv_{i}")
      if i > 0:
        x = layers.BatchNorm(self.axis_name, name=f"norm_{i}")(x, train)
      x = layers.leaky_relu(x)
    return _conv(1, x, name="conv_4").astype(jnp.float32)


def _conv(features, x, **settings):
  """Conv(4,1,1), of the type of `x`."""
  return nn.Conv(features, (4, 4), padding=1, dtype=x.dtype, **settings)(x)

"""Video-GAN, conditioned on a frame (Vondrick et al. 2016): a baseline."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers

# The last layers start small, so that a clip starts grey and not as noise at
# the ends of the tanh (ours).
_LAST_GAIN = 0.1


class VideoGenerator(nn.Module):
  """A still background and a moving foreground, mixed by a moving mask.

  Both are made of one embedding of the first frame, by transposed convolutions in
  two and in three dimensions. There is no noise: one frame gives one clip.
  """

  width: int = 128  # channels of the first layer; doubled up to eightfold
  num_frames: int = 32
  image_size: int = 64
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self, first: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b {self.num_frames} h w 3"]:
    """The first frame to the clip, in [-1, 1]."""
    levels = layers.levels_down_to(self.image_size, 4)
    start = self.num_frames // 2**levels
    if start * 2**levels != self.num_frames:
      raise ValueError(
        f"Clips of {self.num_frames} frames cannot be doubled {levels} times "
        f"as their {self.image_size} pixels are; take a multiple of "
        f"{2**levels} frames."
      )
    *upper, top = layers.pyramid(self.image_size, self.width, levels)

    def normalised(x, name):
      return nn.relu(layers.BatchNorm(self.axis_name, name=name)(x, train))

    x = layers.Downsample(upper[0], name="encode_0")(first.astype(self.dtype))
    x = nn.relu(x)
    for i, features in enumerate((*upper[1:], top), start=1):
      x = layers.Downsample(features, use_bias=False, name=f"encode_{i}")(x)
      x = normalised(x, f"encode_norm_{i}")
    embedding = x

    for i, features in enumerate(reversed(upper)):
      x = layers.Upsample(features, use_bias=False, name=f"background_{i}")(x)
      x = normalised(x, f"background_norm_{i}")
    x = layers.Upsample(3, gain=_LAST_GAIN, name=f"background_{levels - 1}")(x)
    background = jnp.tanh(x.astype(jnp.float32))[:, None]

    x = nn.Dense(start * top, use_bias=False, dtype=self.dtype, name="unfold")(
      embedding
    )
    x = x.reshape(*embedding.shape[:-1], start, top)
    x = normalised(jnp.moveaxis(x, 3, 1), "unfold_norm")
    for i, features in enumerate(reversed(upper)):
      x = layers.UpsampleVideo(
        features, use_bias=False, name=f"foreground_{i}"
      )(x)
      x = normalised(x, f"foreground_norm_{i}")
    # The two heads, on colour and on the mask, in one layer.
    x = layers.UpsampleVideo(
      3 + 1, gain=_LAST_GAIN, name=f"foreground_{levels - 1}"
    )(x)
    x = x.astype(jnp.float32)
    foreground, mask = jnp.tanh(x[..., :3]), nn.sigmoid(x[..., 3:])
    return mask * foreground + (1 - mask) * background


class VideoDiscriminator(nn.Module):
  """Judges whole clips."""

  width: int = 128
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self, frames: Float[Array, "b t h w 3"], train: bool = False
  ) -> Float[Array, "b 1"]:
    """Frames in [-1, 1] to one logit, high where the clip looks real."""
    side = frames.shape[2]
    levels = layers.levels_down_to(side, 4)
    x = frames.astype(self.dtype)
    for i, features in enumerate(layers.pyramid(side, self.width, levels)):
      x = layers.DownsampleVideo(features, use_bias=i == 0, name=f"conv_{i}")(x)
      if i > 0:
        x = layers.BatchNorm(self.axis_name, name=f"norm_{i}")(x, train)
      x = layers.leaky_relu(x)
    # A softmax over "real" and "not" is a sigmoid of their difference.
    verdict = layers.DenseHead(2, name="verdict")(x).astype(jnp.float32)
    real, not_real = jnp.split(verdict, 2, axis=1)
    return real - not_real

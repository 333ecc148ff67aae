"""Video-GAN conditioned on a frame, a baseline (Vondrick et al. 2016)."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers

# Initial gain of the last layers: videos start gray, not as noise that
# saturates the tanh (ours).
_LAST_GAIN = 0.1


class VideoGenerator(nn.Module):
  """Generates a video as a static background and a masked foreground.

  Transposed convolutions in 2-D (background) and 3-D (foreground and mask)
  start from one embedding of the first frame. There is no noise: one frame
  gives one video.

  Attributes:
    width: channels of the first layer; see `layers.pyramid`.
    num_frames: length of the video.
    image_size: height and width in pixels.
    axis_name: as in `layers.BatchNorm`.
    dtype: of the layers' inputs and outputs; the generator's own are float32.
  """

  width: int = 128
  num_frames: int = 32
  image_size: int = 64
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, first: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b {self.num_frames} h w 3"]:
    """Maps a first frame to a video; both are in [-1, 1].

    Raises:
      ValueError: the number of frames or the image size does not fit the
        layers.
    """
    levels = layers.levels_down_to(self.image_size, 4)
    first_frames = self.num_frames // 2**levels
    if first_frames * 2**levels != self.num_frames:
      raise ValueError(
        f"Videos of {self.num_frames} frames cannot be doubled {levels} times "
        f"as their {self.image_size} pixels are; take a multiple of "
        f"{2**levels} frames."
      )
    *lower, top = layers.pyramid(self.image_size, self.width, levels)

    def norm_relu(x, name):
      return nn.relu(layers.BatchNorm(self.axis_name, name=name)(x, train))

    x = layers.Downsample(lower[0], name="encode_0")(first.astype(self.dtype))
    x = nn.relu(x)
    for i, features in enumerate((*lower[1:], top), start=1):
      x = layers.Downsample(features, use_bias=False, name=f"encode_{i}")(x)
      x = norm_relu(x, f"encode_norm_{i}")
    embedding = x

    for i, features in enumerate(reversed(lower)):
      x = layers.Upsample(features, use_bias=False, name=f"background_{i}")(x)
      x = norm_relu(x, f"background_norm_{i}")
    x = layers.Upsample(3, gain=_LAST_GAIN, name=f"background_{levels - 1}")(x)
    background = jnp.tanh(x.astype(jnp.float32))[:, None]

    x = nn.Dense(
      first_frames * top, use_bias=False, dtype=self.dtype, name="unfold"
    )(embedding)
    x = x.reshape(*embedding.shape[:-1], first_frames, top)
    x = norm_relu(jnp.moveaxis(x, 3, 1), "unfold_norm")
    for i, features in enumerate(reversed(lower)):
      x = layers.UpsampleVideo(
        features, use_bias=False, name=f"foreground_{i}"
      )(x)
      x = norm_relu(x, f"foreground_norm_{i}")
    # The heads for the foreground's colors and for the mask are one layer.
    x = layers.UpsampleVideo(
      3 + 1, gain=_LAST_GAIN, name=f"foreground_{levels - 1}"
    )(x)
    x = x.astype(jnp.float32)
    foreground, mask = jnp.tanh(x[..., :3]), nn.sigmoid(x[..., 3:])
    return mask * foreground + (1 - mask) * background


class VideoDiscriminator(nn.Module):
  """Classifies whole videos as real or generated.

  Attributes:
    width: channels of the first layer; see `layers.pyramid`.
    axis_name: as in `layers.BatchNorm`.
    dtype: of the layers' inputs and outputs; the logits are float32.
  """

  width: int = 128
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, frames: Float[Array, "b t h w 3"], train: bool = False
  ) -> Float[Array, "b 1"]:
    """Maps frames in [-1, 1] to one logit per video; positive means real."""
    image_size = frames.shape[2]
    levels = layers.levels_down_to(image_size, 4)
    channels = layers.pyramid(image_size, self.width, levels)
    x = frames.astype(self.dtype)
    for i, features in enumerate(channels):
      x = layers.DownsampleVideo(features, use_bias=i == 0, name=f"conv_{i}")(x)
      if i > 0:
        x = layers.BatchNorm(self.axis_name, name=f"norm_{i}")(x, train)
      x = layers.leaky_relu(x)
    # A softmax over "real" and "generated" is a sigmoid of their difference.
    logits = layers.DenseHead(2, name="verdict")(x).astype(jnp.float32)
    real, generated = jnp.split(logits, 2, axis=1)
    return real - generated

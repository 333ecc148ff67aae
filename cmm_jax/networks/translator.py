"""The image translator and its discriminator (section 3.4)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cmm_jax.networks import layers
from cmm_jax.ops import bilinear

# How the last layer's output becomes a face: the paper's form, and two of ours.
OUTPUTS = ("image", "residual", "motion")

_FLOW_SCALE = 8.0  # pixels of a 64-pixel frame per unit of the last layer

# Of the blur of the flow and of the new pixels' brightness and color, standard
# deviations as shares of the frame: ragged edges and colored fringes are
# artifacts of the layers before, and enlarged they show.
_FLOW_BLUR, _BRIGHTNESS_BLUR, _COLOR_BLUR = 1 / 80, 1 / 170, 1 / 50
_MASK_BIAS = -3.0  # at the start of training 5 % of a pixel is new
_PIXEL_SCALE = 4.0

# Of the gate: it reaches this far from moving lines, as a share of the landmark
# image (standard deviation), and opens at this much blurred change.
_GATE_REACH = 0.125
_GATE_THRESHOLD = 0.03


class Translation(struct.PyTreeNode):
  """What the translator makes.

  Attributes:
    faces: [b h w 3] in [-1, 1].
    flow: [b h w 2], where each pixel of the face comes from in the neutral
      face, as an offset in pixels, x then y; only with the output "motion".
    mask: [b h w 1] in [0, 1], the share of new pixels; only with "motion".
    new_pixels: [b h w 3] in [-1, 1], what the neutral face does not show; only
      with "motion".
  """

  faces: jax.Array
  flow: jax.Array | None = None
  mask: jax.Array | None = None
  new_pixels: jax.Array | None = None


class Translator(nn.Module):
  """U-Net from a neutral face and a landmark image to a face (section 4.1).

  Six downsampling and six upsampling layers at 64 pixels. `output` says what
  the last layer predicts:

    "image": the face itself, through a tanh (the paper).
    "residual": the difference to the neutral face, before the tanh (ours).
    "motion": a flow that moves the neutral face's pixels, a mask, and new
      pixels for what was hidden, such as teeth (ours).

  The "motion" form also reads the landmark image at rest, the sequence's first.
  Where the two do not differ nearby, and outside the face, it changes nothing:
  flow and mask are exactly zero (`motion_gate`, `landmarks.motion_masks`).

  The "image" and "residual" forms have the same parameters; "motion" has a
  fifth input channel and six output channels instead of three.
  """

  width: int = 64  # channels of the first layer; doubled up to eightfold
  image_size: int = 64
  output: str = "motion"
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self,
    neutral: Float[Array, "b h w 3"],
    landmark_image: Float[Array, "b s s 1"],
    rest_image: Float[Array, "b s s 1"],
    motion_masks: Float[Array, "b h w 2"],
    train: bool = False,
  ) -> Translation:
    """Translates a face.

    Args:
      neutral: the neutral face, in [-1, 1].
      landmark_image: of the face to make, in [0, 1]; enlarged if it is smaller.
      rest_image: of the neutral face, in [0, 1]. Only "motion" reads it and the
        next one.
      motion_masks: where the face may move and where new pixels may appear, in
        [0, 1].
      train: whether BatchNorm uses the batch's statistics.
    """
    size = self.image_size
    levels = layers.levels_down_to(self.image_size, 1)
    channels = layers.pyramid(self.image_size, self.width, levels)
    last = levels - 1

    images = landmark_image
    if self.output == "motion":
      images = jnp.concatenate([landmark_image, rest_image], axis=-1)
    if images.shape[1] != size:
      shape = (len(images), size, size, images.shape[-1])
      images = jax.image.resize(images, shape, "linear")
    x = jnp.concatenate([neutral, images], axis=-1).astype(self.dtype)
    skips = []
    for i, features in enumerate(channels):
      # As in pix2pix no layer has a bias, not even the first and the last one,
      # which have no BatchNorm that would take its place.
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

    # A form that starts from the neutral face starts close to it: training
    # then goes on from there instead of from noise.
    gain = 1.0 if self.output == "image" else 0.01
    features = 6 if self.output == "motion" else 3
    x = layers.Upsample(features, gain=gain, name=f"up_{last}")(x)
    x = x.astype(jnp.float32)
    if self.output == "motion":
      gate = motion_gate(landmark_image - rest_image, size)
      gate = gate[..., None] * motion_masks
      return compose(
        neutral,
        flow=gate[..., :1] * _flow(x[..., :2]),
        mask=gate[..., 1:] * nn.sigmoid(x[..., 2:3] + _MASK_BIAS),
        new_pixels=_new_pixels(x[..., 3:]),
      )
    if self.output == "residual":
      # The limit keeps arctanh finite at pure black and white.
      x = x + jnp.arctanh(jnp.clip(neutral, -0.99, 0.99))
    return Translation(jnp.tanh(x))


def motion_gate(
  change: Float[Array, "b s s 1"], size: int
) -> Float[Array, "b {size} {size}"]:
  """Where a face moves: near lines that do, from 0 to 1 (ours).

  Args:
    change: the difference of two landmark images. Where it is zero everywhere,
      so is the gate, exactly.
    size: height and width of the result.
  """
  blur = _gaussian(change.shape[1], size, _GATE_REACH)
  blurred = jnp.einsum(
    "ri,bij,cj->brc",
    blur,
    jnp.abs(change[..., 0]),
    blur,
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.tanh(blurred / _GATE_THRESHOLD)


def _flow(x):
  """The flow in pixels of the frame, from the last layer's output."""
  return x.shape[1] / 64 * _FLOW_SCALE * blur(x, _FLOW_BLUR)


def _new_pixels(x):
  """The new pixels in [-1, 1], from the last layer's output."""
  pixels = jnp.tanh(_PIXEL_SCALE * x)
  gray = jnp.mean(pixels, axis=-1, keepdims=True)
  brightness = jnp.broadcast_to(blur(gray, _BRIGHTNESS_BLUR), pixels.shape)
  color = pixels - jnp.broadcast_to(gray, pixels.shape)
  return jnp.clip(brightness + blur(color, _COLOR_BLUR), -1, 1)


def blur(
  images: Float[Array, "b h h c"], deviation: float
) -> Float[Array, "b h h c"]:
  """Blurs images by a Gaussian, `deviation` as a share of their side."""
  size = images.shape[1]
  kernel = _gaussian(size, size, deviation)
  kernel = kernel / kernel.sum(axis=1, keepdims=True)  # at the border too
  return jnp.einsum(
    "ri,bijk,cj->brck",
    kernel,
    images,
    kernel,
    precision=jax.lax.Precision.HIGHEST,
  )


def _gaussian(size, new_size, deviation):
  """A matrix [new_size size] that blurs a row of pixels and resizes it.

  Args:
    size, new_size: in pixels.
    deviation: standard deviation of the Gaussian, as a share of the row.
  """
  places = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
  distance = (places[:, None] - np.arange(size)) / (deviation * size)
  kernel = np.exp(-0.5 * distance**2) / (deviation * size * np.sqrt(2 * np.pi))
  return kernel.astype(np.float32)


def compose(
  neutral: Float[Array, "b h w 3"],
  *,
  flow: Float[Array, "b h w 2"],
  mask: Float[Array, "b h w 1"],
  new_pixels: Float[Array, "b h w 3"],
) -> Translation:
  """Moves the neutral face's pixels and blends in the new ones (ours).

  z = (1 - mask) * warp(z_0, flow) + mask * new_pixels
  """
  faces = (1 - mask) * bilinear.warp(neutral, flow) + mask * new_pixels
  return Translation(faces, flow, mask, new_pixels)


class Discriminator(nn.Module):
  """Patch discriminator on pairs of faces or single faces (section 4.1)."""

  width: int = 64
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # of the layers' inputs and outputs

  @nn.compact
  def __call__(
    self, *faces: Float[Array, "b h w 3"], train: bool = False
  ) -> Float[Array, "b patches_h patches_w 1"]:
    """One logit per patch; positive means real."""
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
  """Conv(4,1,1) in the dtype of `x`."""
  return nn.Conv(features, (4, 4), padding=1, dtype=x.dtype, **settings)(x)

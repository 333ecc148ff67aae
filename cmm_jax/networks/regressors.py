"""Regressors that measure generated images (ours).

The paper measures with OpenFace. Neither regressor takes part in generation;
results state their error on real images of held-out people.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cmm_jax.networks import layers


class LandmarkRegressor(nn.Module):
  """Predicts the 68 landmarks of a landmark image.

  Attributes:
    width: channels of the first layer; see `layers.pyramid`.
    image_size: height and width in pixels.
    axis_name: as in `layers.BatchNorm`.
  """

  width: int = 32
  image_size: int = 64
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, landmark_images: Float[Array, "b h w 1"], train: bool = False
  ) -> Float[Array, "b 68 2"]:
    """Maps images in [0, 1] to x and y in pixels."""
    x = _encode(self, landmark_images, train)
    x = nn.Dense(68 * 2, name="points")(x).reshape(-1, 68, 2)
    return self.image_size * (0.5 + 0.1 * x)  # starts at the center


class ActionUnitRegressor(nn.Module):
  """Predicts AU06 and AU12 of a face, given the person's neutral face.

  Attributes:
    width: channels of the first layer; see `layers.pyramid`.
    image_size: height and width in pixels.
    axis_name: as in `layers.BatchNorm`.
  """

  width: int = 32
  image_size: int = 64
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self,
    neutral: Float[Array, "b h w 3"],
    face: Float[Array, "b h w 3"],
    train: bool = False,
  ) -> Float[Array, "b 2"]:
    """Maps faces in [-1, 1] to intensities, nominally in [0, 5]."""
    x = jnp.concatenate([face, face - neutral], axis=-1)
    return 2.5 * nn.Dense(2, name="intensities")(_encode(self, x, train))


def _encode(
  regressor: LandmarkRegressor | ActionUnitRegressor, x: Array, train: bool
) -> Array:
  """Downsamples images to 4x4 pixels and maps them to one vector each.

  The layers belong to the regressor, in whose `__call__` this runs.
  """
  levels = layers.levels_down_to(regressor.image_size, 4)
  channels = layers.pyramid(regressor.image_size, regressor.width, levels)
  for i, features in enumerate(channels):
    x = layers.Downsample(features, use_bias=False, name=f"conv_{i}")(x)
    x = layers.BatchNorm(regressor.axis_name, name=f"norm_{i}")(x, train)
    x = layers.leaky_relu(x)
  x = layers.DenseHead(4 * regressor.width, name="flatten")(x)
  return layers.leaky_relu(x)

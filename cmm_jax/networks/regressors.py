"""Regression that read generated pictures; they take no part in making them.

Neither is in the paper, which measures by OpenFace. Both are quoted with their
error on true pictures of held-out people.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cmm_jax.networks import layers


class LandmarkRegressor(nn.Module):
  """Landmark image to its 68 points."""

  width: int = 32
  image_size: int = 64
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, landmark_images: Float[Array, "b h w 1"], train: bool = False
  ) -> Float[Array, "b 68 2"]:
    """Images in [0, 1] to x and y in pixels."""
    x = _trunk(landmark_images, self, train)
    x = nn.Dense(68 * 2, name="points")(x).reshape(-1, 68, 2)
    return self.image_size * (0.5 + 0.1 * x)


class ActionUnitRegressor(nn.Module):
  """A face and the same person's neutral face to AU06 and AU12."""

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
    """Faces in [-1, 1] to intensities, meant to lie in 0 ... 5."""
    x = jnp.concatenate([face, face - neutral], axis=-1)
    return 2.5 * nn.Dense(2, name="intensities")(_trunk(x, self, train))


def _trunk(
  x: Array, reader: LandmarkRegressor | ActionUnitRegressor, train: bool
):
  """Halves the picture down to 4x4 and gives one vector."""
  levels = layers.levels_down_to(reader.image_size, 4)
  channels = layers.pyramid(reader.image_size, reader.width, levels)
  for i, features in enumerate(channels):
    x = layers.Downsample(features, use_bias=False, name=f"conv_{i}")(x)
    x = layers.BatchNorm(reader.axis_name, name=f"norm_{i}")(x, train)
    x = layers.leaky_relu(x)
  x = layers.DenseHead(4 * reader.width, name="flatten")(x)
  return layers.leaky_relu(x)

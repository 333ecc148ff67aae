"""InceptionV3 as in torchvision, for the Inception Score and the FID.

Szegedy et al., Rethinking the Inception Architecture, CVPR 2016. Modules have
torchvision's names, because its weights are loaded. The auxiliary head, which
is used in training only, is omitted.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class ConvNorm(nn.Module):
  """Convolution, batch normalization, ReLU."""

  features: int
  kernel: tuple[int, int]
  stride: int = 1
  padding: str = "SAME"

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
    x = nn.Conv(
      self.features,
      self.kernel,
      self.stride,
      self.padding,
      use_bias=False,
      name="conv",
    )(x)
    return nn.relu(
      nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(x)
    )


class Mixed5(nn.Module):
  """Parallel kernels of three sizes."""

  pool_features: int

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    return _join(
      _chain(x, "branch1x1", (64, 1, 1)),
      _chain(x, "branch5x5", (48, 1, 1), (64, 5, 5)),
      _chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
      _chain(_mean(x), "branch_pool", (self.pool_features, 1, 1)),
    )


class Mixed6a(nn.Module):
  """Halves the height and width."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
    return _join(
      _chain(x, "branch3x3", (384, 3, 3), halve=True),
      _chain(x, "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3), halve=True),
      _max(x),
    )


class Mixed6(nn.Module):
  """7x7 kernels, factorized into rows and columns, with `hidden` features."""

  hidden: int

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    point, row, column = (
      (self.hidden, *kernel) for kernel in ((1, 1), (1, 7), (7, 1))
    )
    return _join(
      _chain(x, "branch1x1", (192, 1, 1)),
      _chain(x, "branch7x7", point, row, (192, 7, 1)),
      _chain(x, "branch7x7dbl", point, column, row, column, (192, 1, 7)),
      _chain(_mean(x), "branch_pool", (192, 1, 1)),
    )


class Mixed7a(nn.Module):
  """Halves the height and width."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
    wide = (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)
    return _join(
      _chain(x, "branch3x3", (192, 1, 1), (320, 3, 3), halve=True),
      _chain(x, "branch7x7x3", *wide, halve=True),
      _max(x),
    )


class Mixed7(nn.Module):
  """3x3 kernels, split into parallel rows and columns."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w 2048"]:
    return _join(
      _chain(x, "branch1x1", (320, 1, 1)),
      self._fork("branch3x3_2", ConvNorm(384, (1, 1), name="branch3x3_1")(x)),
      self._fork(
        "branch3x3dbl_3", _chain(x, "branch3x3dbl", (448, 1, 1), (384, 3, 3))
      ),
      _chain(_mean(x), "branch_pool", (192, 1, 1)),
    )

  def _fork(self, name, x):
    return _join(
      ConvNorm(384, (1, 3), name=f"{name}a")(x),
      ConvNorm(384, (3, 1), name=f"{name}b")(x),
    )


class InceptionV3(nn.Module):
  """Maps images to the logits of the classes and the last features."""

  num_classes: int = 1000

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w 3"]
  ) -> tuple[Float[Array, "b {self.num_classes}"], Float[Array, "b 2048"]]:
    """Takes images in [-1, 1] of 75 pixels or more; trained at 299 pixels.

    Torchvision takes images normalized by ImageNet's statistics and converts
    them to this range.
    """
    x = ConvNorm(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(images)
    x = ConvNorm(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
    x = _max(ConvNorm(64, (3, 3), name="Conv2d_2b_3x3")(x))
    x = ConvNorm(80, (1, 1), name="Conv2d_3b_1x1")(x)
    x = _max(ConvNorm(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x))
    for letter, pool_features in (("b", 32), ("c", 64), ("d", 64)):
      x = Mixed5(pool_features, name=f"Mixed_5{letter}")(x)
    x = Mixed6a(name="Mixed_6a")(x)
    for letter, hidden in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
      x = Mixed6(hidden, name=f"Mixed_6{letter}")(x)
    x = Mixed7a(name="Mixed_7a")(x)
    for letter in "bc":
      x = Mixed7(name=f"Mixed_7{letter}")(x)
    x = jnp.mean(x, axis=(1, 2))
    return nn.Dense(self.num_classes, name="fc")(x), x


def _chain(x, name, *layers, halve=False):
  """Layers in sequence, each given by its features and its kernel's size."""
  for i, (features, *kernel) in enumerate(layers, start=1):
    strided = halve and i == len(layers)
    own_name = f"{name}_{i}" if len(layers) > 1 else name
    window = (2, "VALID") if strided else (1, "SAME")
    x = ConvNorm(features, tuple(kernel), *window, name=own_name)(x)
  return x


def _join(*branches):
  return jnp.concatenate(branches, axis=-1)


def _mean(x):
  """Average pooling over 3x3 windows, which counts the zero padding."""
  return nn.avg_pool(x, (3, 3), padding="SAME")


def _max(x):
  return nn.max_pool(x, (3, 3), strides=(2, 2))

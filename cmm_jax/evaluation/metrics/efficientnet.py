"""EfficientNet-Lite0, an ImageNet classifier small enough for a CPU.

Tan & Le, EfficientNet, ICML 2019, in the variant for mobile devices: no squeeze
and excitation, ReLU6, stem and head of fixed width. Modules have the names of
the PyTorch implementation, whose weights are loaded.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

# repeats, kernel, stride of the first block, expansion, channels
_STAGES = (
  (1, 3, 1, 1, 16),
  (2, 3, 2, 6, 24),
  (2, 5, 2, 6, 40),
  (3, 3, 2, 6, 80),
  (3, 5, 1, 6, 112),
  (4, 5, 2, 6, 192),
  (1, 3, 1, 6, 320),
)


class Depthwise(nn.Module):
  """A depthwise convolution with TensorFlow's padding.

  Computed as a sum over the positions of the kernel. XLA's grouped convolution
  is ten times slower on a CPU (0.23 s instead of 0.015 s per image for the
  whole network).
  """

  kernel: int
  stride: int

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    size, step = self.kernel, self.stride
    kernel = self.param(
      "kernel", nn.initializers.lecun_normal(), (size, size, 1, x.shape[-1])
    )
    outputs = [-(-length // step) for length in x.shape[1:3]]
    padding = [(0, 0), (0, 0), (0, 0), (0, 0)]
    for axis, number in enumerate(outputs, start=1):
      missing = max((number - 1) * step + size - x.shape[axis], 0)
      padding[axis] = (missing // 2, missing - missing // 2)
    x = jnp.pad(x, padding)
    height, width = ((number - 1) * step + 1 for number in outputs)
    return sum(
      x[:, i : i + height : step, j : j + width : step]
      * kernel[i, j][None, None]
      for i in range(size)
      for j in range(size)
    )


class Block(nn.Module):
  """An inverted bottleneck: expansion, depthwise convolution, projection."""

  features: int
  kernel: int
  stride: int
  expansion: int

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
    residual, hidden = x, self.expansion * x.shape[-1]
    if self.expansion > 1:
      x = nn.relu6(_norm("_bn0")(_conv(hidden, 1, "_expand_conv")(x)))
    x = Depthwise(self.kernel, self.stride, name="_depthwise_conv")(x)
    x = nn.relu6(_norm("_bn1")(x))
    x = _norm("_bn2")(_conv(self.features, 1, "_project_conv")(x))
    return x + residual if x.shape == residual.shape else x


class EfficientNetLite0(nn.Module):
  """Maps images to logits of ImageNet's 1000 classes and the last features."""

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w 3"]
  ) -> tuple[Float[Array, "b 1000"], Float[Array, "b 1280"]]:
    """Takes images in about [-1, 1]; trained at 224 pixels."""
    x = nn.relu6(_norm("_bn0")(_conv(32, 3, "_conv_stem", 2)(images)))
    number = 0
    for repeats, kernel, stride, expansion, features in _STAGES:
      for i in range(repeats):
        x = Block(
          features,
          kernel,
          stride if i == 0 else 1,
          expansion,
          name=f"_blocks.{number}",
        )(x)
        number += 1
    x = nn.relu6(_norm("_bn1")(_conv(1280, 1, "_conv_head")(x)))
    x = jnp.mean(x, axis=(1, 2))
    return nn.Dense(1000, name="_fc")(x), x


def _conv(features, kernel, name, stride=1):
  return nn.Conv(features, (kernel, kernel), stride, use_bias=False, name=name)


def _norm(name):
  return nn.BatchNorm(use_running_average=True, epsilon=1e-3, name=name)

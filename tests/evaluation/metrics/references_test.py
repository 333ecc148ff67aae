"""SSIM, IS and FID against references, on random and on real images.

The formulas are in float64 and by SciPy alone. With `pip install torchmetrics`
and PyTorch, theirs are a second reference.
"""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.special
from skimage import data, metrics, transform

from cmm_jax.evaluation.metrics import inception, ssim
from cmm_jax.evaluation.metrics.classifiers import Predictions

_SIZE, _PATCH = 96, 12


def _real(name):
  image = transform.resize(getattr(data, name)(), (_SIZE, _SIZE))
  return np.round(255 * image).astype(np.uint8)


@pytest.fixture(params=["random", "real"])
def images(request):
  """Two sets of four images [2 t h w 3]."""
  if request.param == "random":
    shape = (2, 4, _SIZE, _SIZE, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  one = np.stack([_real(name) for name in ("astronaut", "coffee")])
  other = np.stack([_real(name) for name in ("chelsea", "rocket")])
  blurred = scipy.ndimage.gaussian_filter(one, (0, 1, 1, 0))
  return np.stack(
    [np.concatenate([one, one]), np.concatenate([other, blurred])]
  )


def _predictions(images):
  """Each patch's pixels as features, and the histogram of its values."""
  edges = range(0, _SIZE, _PATCH)
  patches = np.stack(
    [
      x[i : i + _PATCH, j : j + _PATCH]
      for x in images
      for i in edges
      for j in edges
    ]
  )
  features = patches[:, ::3, ::3].reshape(len(patches), -1) / 255.0
  counts = [np.histogram(x, 8, (0, 256))[0] for x in patches]
  return Predictions("patches", np.array(counts) / patches[0].size, features)


def test_ssim_is_that_of_the_formula_and_of_scikit_image(images):
  found = ssim.frame_ssim(*images)

  def smooth(x):
    return scipy.ndimage.gaussian_filter(x, (0, 1.5, 1.5, 0), truncate=3.5)

  x, y = images.astype(np.float64)
  mean_x, mean_y = smooth(x), smooth(y)
  var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
  covariance = smooth(x * y) - mean_x * mean_y
  c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
  similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
  similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
  inside = similarity[:, 5:-5, 5:-5]  # where the window fits
  np.testing.assert_allclose(found, inside.mean(axis=(1, 2, 3)), rtol=1e-5)
  theirs = [
    metrics.structural_similarity(
      *(one, other),
      channel_axis=-1,
      data_range=255,
      gaussian_weights=True,
      use_sample_covariance=False,
    )
    for one, other in zip(x, y, strict=True)
  ]
  np.testing.assert_allclose(found, theirs, rtol=1e-5)


def test_the_inception_score_is_that_of_the_formula(images):
  predictions = _predictions(images[0])

  found = inception.inception_score(predictions, splits=1)

  p = predictions.probabilities
  divergence = scipy.special.rel_entr(p, p.mean(axis=0, keepdims=True))
  wanted = np.exp(divergence.sum(axis=1).mean())
  assert wanted > 1.001
  np.testing.assert_allclose(found.value, wanted, rtol=1e-9)


def test_the_fid_is_that_of_the_matrix_root(images):
  one, other = (_predictions(x) for x in images)

  found = inception.fid(one, other)

  covariances = [np.cov(x.features.T) for x in (one, other)]
  root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
  gap = one.features.mean(axis=0) - other.features.mean(axis=0)
  wanted = gap @ gap + np.trace(sum(covariances) - 2 * root)
  np.testing.assert_allclose(found.value, wanted, rtol=1e-6)


def test_scores_are_those_of_torchmetrics(images):
  pytest.importorskip("torchmetrics")
  import torch
  from torchmetrics.functional import image as similarities
  from torchmetrics.image import fid
  from torchmetrics.image import inception as scores

  one, other = (_predictions(x) for x in images)

  class Numbers(torch.nn.Module):
    num_features = one.features.shape[1]

    def forward(self, numbers):
      return numbers

  def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array, np.float64))

  _, similarity = similarities.structural_similarity_index_measure(
    *(tensor(x.transpose(0, 3, 1, 2)) for x in images),
    data_range=255.0,
    return_full_image=True,
  )
  score = scores.InceptionScore(Numbers(), splits=1)
  score.update(tensor(np.log(one.probabilities + 1e-12)))
  distance = fid.FrechetInceptionDistance(Numbers())
  distance.update(tensor(one.features), real=False)
  distance.update(tensor(other.features), real=True)

  inside = similarity[..., 5:-5, 5:-5].mean(axis=(1, 2, 3))
  np.testing.assert_allclose(ssim.frame_ssim(*images), inside, rtol=1e-4)
  np.testing.assert_allclose(
    inception.inception_score(one, splits=1).value, score.compute()[0], 1e-6
  )
  np.testing.assert_allclose(
    inception.fid(one, other).value, distance.compute(), rtol=1e-6
  )

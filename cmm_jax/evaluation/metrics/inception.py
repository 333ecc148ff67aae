"""Inception Score and FID, from the predictions of an image classifier.

Both depend on the classifier and on the number of images. Compare only values
from the same classifier and about equally many images.
"""

import dataclasses

import numpy as np

from cmm_jax.evaluation.metrics.classifiers import Predictions
from cmm_jax.evaluation.metrics.metric import QUALITY, Metric


@dataclasses.dataclass(frozen=True)
class Score:
  """An Inception Score and what it depends on."""

  value: float  # the mean over the splits
  splits: int
  classifier: str


@dataclasses.dataclass(frozen=True)
class Distance:
  """A distance between two sets of images, and the classifier behind it."""

  value: float
  classifier: str


def inception_score(predictions: Predictions, splits: int = 10) -> Score:
  """IS = exp(mean_x KL(p(y|x) || p(y)))                (Salimans et al., 2016)

  Ranges from 1, for images with equal predictions, to the number of classes. On
  faces neither end is better: compare with the score of the originals.

  The frames of a clip are alike, so images are assigned to splits at random,
  always in the same way (ours; the original code takes them in order).

  Args:
    predictions: for n images, in one axis.
    splits: the number of equal parts that are scored separately; 10 in the
      original code, the paper does not say.

  Raises:
    ValueError: there are fewer images than splits.
  """
  probabilities = predictions.probabilities.astype(np.float64)
  number = len(probabilities)
  if number < splits:
    raise ValueError(
      f"{number} images cannot be divided into {splits} splits; pass more "
      "images or fewer splits."
    )
  order = np.random.default_rng(0).permutation(number)
  scores = []
  for part in np.array_split(order, splits):
    conditional = probabilities[part]
    marginal = conditional.mean(axis=0, keepdims=True)
    # 0 log 0 = 0; where the marginal is 0, so is every conditional.
    ratio = np.divide(
      conditional, marginal, np.ones_like(conditional), where=conditional > 0
    )
    divergence = (conditional * np.log(ratio)).sum(axis=1)
    scores.append(np.exp(divergence.mean()))
  return Score(float(np.mean(scores)), splits, predictions.classifier)


def score_distance(generated: Score, original: Score) -> Distance:
  """Delta-IS, the difference to the score of the originals; 0 is best.

  Raises:
    ValueError: the classifiers or the numbers of splits differ.
  """
  for quantity in ("classifier", "splits"):
    one, other = getattr(generated, quantity), getattr(original, quantity)
    if one != other:
      raise ValueError(
        f"The scores cannot be compared: {quantity} is {one!r} for the "
        f"generated and {other!r} for the original images; use the same for "
        "both."
      )
  return Distance(abs(generated.value - original.value), generated.classifier)


def fid(generated: Predictions, originals: Predictions) -> Distance:
  """Frechet distance of the features' Gaussians; 0 is best (Heusel 2017).

  |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), with sample covariances. The
  distance decreases with the number of images: compare at equal numbers, and
  report it beside the distance of two halves of the originals.

  Raises:
    ValueError: the classifiers differ, or a set has fewer than two images.
  """
  if generated.classifier != originals.classifier:
    raise ValueError(
      f"The generated images were classified by {generated.classifier}, the "
      f"original ones by {originals.classifier}; use one classifier for both."
    )
  means, factors = [], []
  for name, predictions in (("generated", generated), ("original", originals)):
    features = predictions.features.astype(np.float64)
    if len(features) < 2:
      raise ValueError(
        f"{len(features)} {name} image has no covariance; pass two or more."
      )
    means.append(features.mean(axis=0))
    # A small F with C = F^T F, which needs no matrix square root.
    factor = (features - means[-1][None]) / np.sqrt(len(features) - 1)
    if factor.shape[0] > factor.shape[1]:
      factor = np.linalg.qr(factor, mode="r")
    factors.append(factor)
  # The eigenvalues of C C' are the squared singular values of F F'^T.
  common = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
  spread = sum(np.square(factor).sum() for factor in factors)
  value = np.square(means[0] - means[1]).sum() + spread - 2 * common
  # Rounding can give -1e-12.
  return Distance(max(0.0, float(value)), originals.classifier)


def _score(measurements, clips):
  """The Inception Score of the frames of some clips."""
  predictions = measurements.predictions.of_clips(clips)
  number = len(predictions.probabilities)
  return inception_score(predictions, splits=min(10, number))


METRICS = (
  Metric(
    name="inception_score",
    heading="IS",
    tables=(QUALITY,),
    needs=("predictions",),
    of_set=lambda model, originals, clips: _score(model, clips).value,
    minimum=1.0,
  ),
  Metric(
    name="delta_is",
    heading="ΔIS",
    better="lower",
    tables=(QUALITY,),
    needs=("predictions",),
    against_originals=True,
    of_set=lambda model, originals, clips: (
      score_distance(_score(model, clips), _score(originals, clips)).value
    ),
    minimum=0.0,
  ),
  Metric(
    name="fid",
    heading="FID",
    better="lower",
    digits=1,
    tables=(QUALITY,),
    needs=("predictions",),
    against_originals=True,
    of_set=lambda model, originals, clips: (
      fid(
        model.predictions.of_clips(clips), originals.predictions.of_clips(clips)
      ).value
    ),
    minimum=0.0,
  ),
)

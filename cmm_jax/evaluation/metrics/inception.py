"""Inception Score and FID, of what a classifier says of pictures.

Both depend on the network and on the number of pictures, so that a number goes
nowhere without them. Compare only what was seen by one network.
"""

import dataclasses

import numpy as np

from cmm_jax.evaluation.metrics.classifiers import Predictions


@dataclasses.dataclass(frozen=True)
class Score:
  """An Inception Score and how it was taken."""

  mean: float  # over the splits
  deviation: float  # over the splits, as the original code has it
  splits: int
  pictures: int
  network: str


@dataclasses.dataclass(frozen=True)
class Distance:
  """A difference between two sets of pictures, and what saw it."""

  value: float
  network: str


def inception_score(seen: Predictions, splits: int = 10) -> Score:
  """IS = exp(mean_x KL(p(y|x) || p(y)))                (Salimans et al., 2016)

  From 1, where all pictures look alike or say nothing, to the number of
  classes. On faces neither end is good: quote it beside that of the true ones.

  The frames of a clip are alike, so the pictures are dealt to the splits by
  chance, always in the same way (ours; the original takes them as they come).

  Args:
    seen: pictures.
    splits: equal parts, of each of which the score is taken; 10 in the original
      code, the paper does not say.

  Raises:
    ValueError: there are fewer pictures than splits.
  """
  probabilities = seen.probabilities.astype(np.float64)
  number = len(probabilities)
  if number < splits:
    raise ValueError(
      f"{number} pictures cannot be dealt to {splits} splits; give more "
      "pictures or take fewer splits."
    )
  dealt = np.random.default_rng(0).permutation(number)
  scores = []
  for part in np.array_split(dealt, splits):
    given = probabilities[part]
    overall = given.mean(axis=0, keepdims=True)
    # 0 log 0 = 0; where the mean is 0 each of its parts is, too.
    ratio = np.divide(given, overall, np.ones_like(given), where=given > 0)
    divergence = (given * np.log(ratio)).sum(axis=1)
    scores.append(np.exp(divergence.mean()))
  return Score(
    float(np.mean(scores)), float(np.std(scores)), splits, number, seen.network
  )


def score_distance(generated: Score, true: Score) -> Distance:
  """Delta-IS: how far the score is from that of the originals; 0 is best.

  Few pictures score lower, so take about as many of both.

  Raises:
    ValueError: the scores are of two networks or of unequal splits.
  """
  for quantity in ("network", "splits"):
    one, other = getattr(generated, quantity), getattr(true, quantity)
    if one != other:
      raise ValueError(
        f"The scores cannot be compared: {quantity} is {one!r} for the "
        f"generated and {other!r} for the true pictures; take both alike."
      )
  return Distance(abs(generated.mean - true.mean), generated.network)


def fid(generated: Predictions, true: Predictions) -> Distance:
  """Frechet distance of the features' Gaussians; 0 is best (Heusel 2017).

  |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), with sample covariances. It falls as
  pictures are added: compare at equal numbers, and quote it beside that of two
  halves of the true pictures.

  Raises:
    ValueError: two networks have looked, or one saw fewer than two pictures.
  """
  if generated.network != true.network:
    raise ValueError(
      f"{generated.network} has seen the generated pictures, {true.network} "
      "the true ones; let one network see both."
    )
  means, roots = [], []
  for name, seen in (("generated", generated), ("true", true)):
    features = seen.features.astype(np.float64)
    if len(features) < 2:
      raise ValueError(
        f"{len(features)} {name} picture has no covariance; give two or more."
      )
    means.append(features.mean(axis=0))
    # A root R of C = R^T R that needs no root of a matrix.
    centred = (features - means[-1][None]) / np.sqrt(len(features) - 1)
    roots.append(np.linalg.qr(centred, mode="r"))
  # The eigenvalues of C C' are the squared singular values of R R'^T.
  common = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
  spread = sum(np.square(root).sum() for root in roots)
  value = np.square(means[0] - means[1]).sum() + spread - 2 * common
  return Distance(max(0.0, float(value)), true.network)  # -1e-12 is rounding

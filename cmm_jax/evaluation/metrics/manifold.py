"""Density and coverage: how faces lie among the original ones.

Like the FID they depend on the classifier whose features they compare.
"""

import numpy as np
from jaxtyping import Float

from cmm_jax.evaluation.metrics.metric import QUALITY, Metric

_NEIGHBORS = 5  # as in the paper


def density_and_coverage(
  originals: Float[np.ndarray, "n d"],
  generated: Float[np.ndarray, "m d"],
  neighbors: int = _NEIGHBORS,
) -> tuple[float, float]:
  """Density and coverage                              (Naeem et al., 2020)

  Each original has a ball that reaches to its k-th nearest other original.
  Density is the mean number of balls around a generated sample, over k: high
  where samples lie among the originals, unbounded. Coverage is the share of
  balls with a sample in them, in [0, 1]: low where some originals have nothing
  like them. Two sets of one distribution have a density of about 1.

  Args:
    originals: features.
    generated: features.
    neighbors: k.

  Raises:
    ValueError: there are not more than k originals, or nothing was generated.
  """
  if len(originals) <= neighbors or not len(generated):
    raise ValueError(
      f"{len(originals)} original and {len(generated)} generated samples are "
      f"too few; pass more than {neighbors} originals and one sample or more."
    )
  between = _distances(originals, originals)
  np.fill_diagonal(between, np.inf)
  radii = np.partition(between, neighbors - 1, axis=1)[:, neighbors - 1]
  inside = _distances(originals, generated) < radii[:, None]
  density = inside.sum(axis=0).mean() / neighbors
  return float(density), float(inside.any(axis=1).mean())


def _distances(one, other):
  gaps = one[:, None].astype(np.float64) - other[None]
  return np.linalg.norm(gaps, axis=-1)


def _of_last_frames(number):
  """A metric: of one frame a clip, for the frames of a clip are alike."""

  def of_set(model, originals, clips):
    features = [
      measurements.predictions.features[clips][:, -1]
      for measurements in (originals, model)
    ]
    if len(features[0]) <= _NEIGHBORS:
      return float("nan")
    return density_and_coverage(*features)[number]

  return of_set


METRICS = (
  *(
    Metric(
      name=name,
      heading=name,
      better="higher",
      digits=2,
      tables=(QUALITY,),
      needs=("predictions",),
      against_originals=True,
      of_set=_of_last_frames(number),
      minimum=0.0,
    )
    for number, name in enumerate(("density", "coverage"))
  ),
)

"""Action units over time: generated curves, and how well units are read.

Intensities are FACS's, 0 to 5.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

_WINDOW = 5  # frames that a curve is smoothed over


@dataclasses.dataclass(frozen=True)
class Agreement:
  """How well intensities that were read agree with the true ones."""

  icc: float  # ICC(3,1): 1 is equality up to a constant, 0 none
  mae: float  # in intensities; less is better
  correlation: float  # Pearson's; 1 is best


def curve_distance(
  generated: Float[np.ndarray, "n t a"], true: Float[np.ndarray, "m t a"]
) -> Float[np.ndarray, " a"]:
  """How far the mean curve of each action unit is from the true mean curve.

  d_a = sum_t |G_a(t) - Y_a(t)|, both means over clips and smoothed over five
  frames (table 3); in intensities times frames, less is better. Take clips of
  one label. Quote it beside the distance of two halves of the true clips.
  """
  return np.abs(mean_curve(generated) - mean_curve(true)).sum(axis=0)


def mean_curve(
  curves: Float[np.ndarray, "n t a"],
) -> Float[np.ndarray, "t a"]:
  """The mean over clips, then over the five frames around each frame.

  Near the ends it is over as many of them as there are (ours).
  """
  mean = curves.mean(axis=0, dtype=np.float64)
  kernel = np.ones(_WINDOW)
  reach = _WINDOW // 2
  # In full, then cut: "same" gives what is shorter than the window its length.
  summed, counted = (
    np.apply_along_axis(np.convolve, 0, x, kernel)[reach : reach + len(x)]
    for x in (mean, np.ones_like(mean))
  )
  return summed / counted


def agreement(
  read: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]
) -> Agreement:
  """ICC(3,1), MAE and correlation of one action unit over frames.

  The correlation is not a number where either never changes, the ICC where
  neither does.
  """
  varies = np.ptp(read) > 0 and np.ptp(true) > 0
  return Agreement(
    icc=intraclass_correlation(np.stack([read, true], axis=1)),
    mae=float(np.abs(read - true).mean()),
    correlation=float(np.corrcoef(read, true)[0, 1]) if varies else np.nan,
  )


def intraclass_correlation(ratings: Float[np.ndarray, "n k"]) -> float:
  """ICC(3,1) of k raters of the same n targets (Shrout & Fleiss, 1979).

  (BMS - EMS) / (BMS + (k - 1) EMS), of the mean squares between targets and of
  what neither target nor rater explains. A rater's constant offset costs
  nothing; a rater's own scale does.

  Raises:
    ValueError: fewer than two targets or raters.
  """
  targets, raters = ratings.shape
  if min(targets, raters) < 2:
    raise ValueError(
      f"{raters} raters of {targets} targets have no ICC; give two or more of "
      "both."
    )
  ratings = ratings.astype(np.float64)
  centred = ratings - ratings.mean()
  by_target = centred.mean(axis=1, keepdims=True)
  by_rater = centred.mean(axis=0, keepdims=True)
  between = raters * np.square(by_target).sum() / (targets - 1)
  left = np.square(centred - by_target - by_rater).sum()
  error = left / ((targets - 1) * (raters - 1))
  total = between + (raters - 1) * error
  return float((between - error) / total) if total > 0 else float("nan")

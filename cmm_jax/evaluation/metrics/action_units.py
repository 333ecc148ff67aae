"""Action units over time, and the agreement of two sources of them.

Intensities are those of FACS, 0 to 5.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from cmm_jax.evaluation.metrics.metric import DYNAMICS, LAST_FRAMES, Metric

NAMES = ("AU06", "AU12")  # cheek raiser, lip corner puller

_WINDOW = 5  # frames, for smoothing curves


@dataclasses.dataclass(frozen=True)
class Agreement:
  """The agreement of predicted with true intensities."""

  icc: float  # ICC(3,1): 1 for equality up to a constant, 0 for none
  mae: float  # mean absolute error, in intensity
  correlation: float  # Pearson's


def curve_distance(
  generated: Float[np.ndarray, "n t a"], originals: Float[np.ndarray, "m t a"]
) -> Float[np.ndarray, " a"]:
  """The distance of the mean curve of each action unit to the originals'.

  d_a = sum_t |G_a(t) - Y_a(t)|, where both curves are means over clips,
  smoothed over five frames (table 3). The unit is intensity times frames; 0 is
  best. Pass clips of one label. Report it beside the distance of two halves of
  the originals.
  """
  gaps = np.abs(mean_curve(generated) - mean_curve(originals))
  return gaps.sum(axis=0)


def mean_curve(
  curves: Float[np.ndarray, "n t a"],
) -> Float[np.ndarray, "t a"]:
  """The mean over clips, then over the five frames around each frame.

  Near the ends, it is the mean over those of the five that exist (ours).
  """
  mean = curves.mean(axis=0, dtype=np.float64)
  kernel = np.ones(_WINDOW)
  reach = _WINDOW // 2
  # Convolved in full, then cut, because "same" would give a curve shorter than
  # the kernel the length of the kernel.
  sums, counts = (
    np.apply_along_axis(np.convolve, 0, x, kernel)[reach : reach + len(x)]
    for x in (mean, np.ones_like(mean))
  )
  return sums / counts


def half_rise(curve: Float[np.ndarray, " t"]) -> float:
  """The frame, interpolated, at which a curve is first halfway to its end.

  The curve starts at its first frame and ends at the mean of its last eight.
  NaN if it starts where it ends or is beyond halfway at once.
  """
  start, end = curve[0], curve[LAST_FRAMES].mean()
  fraction = (curve - start) / (end - start) if end != start else curve * 0
  above = np.flatnonzero(fraction >= 0.5)
  if len(above) == 0 or above[0] == 0:
    return float("nan")
  after = above[0]
  before = fraction[after - 1]
  return float(after - 1 + (0.5 - before) / (fraction[after] - before))


def agreement(
  predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]
) -> Agreement:
  """ICC(3,1), MAE and correlation of the intensities of one action unit.

  The correlation is NaN if either is constant, the ICC if both are.
  """
  varies = np.ptp(predicted) > 0 and np.ptp(true) > 0
  correlation = np.corrcoef(predicted, true)[0, 1] if varies else np.nan
  return Agreement(
    icc=intraclass_correlation(np.stack([predicted, true], axis=1)),
    mae=float(np.abs(predicted - true).mean()),
    correlation=float(correlation),
  )


def intraclass_correlation(ratings: Float[np.ndarray, "n k"]) -> float:
  """ICC(3,1) of k raters of the same n targets (Shrout & Fleiss, 1979).

  (BMS - EMS) / (BMS + (k - 1) EMS), of the mean squares between targets and of
  the residuals. A constant offset of a rater does not lower it; a different
  scale does.

  Raises:
    ValueError: fewer than two targets or raters.
  """
  targets, raters = ratings.shape
  if min(targets, raters) < 2:
    raise ValueError(
      f"{raters} raters of {targets} targets have no ICC; pass two or more of "
      "both."
    )
  ratings = ratings.astype(np.float64)
  centered = ratings - ratings.mean()
  by_target = centered.mean(axis=1, keepdims=True)
  by_rater = centered.mean(axis=0, keepdims=True)
  between = raters * np.square(by_target).sum() / (targets - 1)
  residual = np.square(centered - by_target - by_rater).sum()
  error = residual / ((targets - 1) * (raters - 1))
  total = between + (raters - 1) * error
  return float((between - error) / total) if total > 0 else float("nan")


def _distance(unit):
  """A metric: the curve distance of one action unit.

  Of the originals it is that of one half of the clips to the other: what the
  choice of clips makes alone.
  """

  def of_clips(model, originals, clips):
    generated = true = clips
    if model is originals:  # every other clip, so that most people are in both
      generated, true = clips[::2], clips[1::2]
    if not len(true):
      return float("nan")
    return curve_distance(
      model.action_units[generated], originals.action_units[true]
    )[unit]

  return of_clips


def _error(unit):
  """A metric: each clip's mean absolute error against the clip's labels."""

  def of_clips(model, originals):
    gaps = np.abs(model.action_units - originals.true_action_units)
    return gaps[..., unit].mean(axis=1)

  return of_clips


def _au12_half_rise(model, originals, clips):
  """When the mean curve of AU12 is halfway up, in frames."""
  del originals
  return half_rise(model.action_units[clips, :, 1].mean(axis=0))


METRICS = (
  *(
    Metric(
      name=f"{name.lower()}_distance",
      heading=f"{name} curve",
      better="lower",
      digits=2,
      tables=(DYNAMICS,),
      needs=("action_units",),
      of_set=_distance(unit),
      minimum=0.0,
    )
    for unit, name in enumerate(NAMES)
  ),
  *(
    Metric(
      name=f"{name.lower()}_error",
      heading=f"{name} error",
      better="lower",
      digits=2,
      tables=(DYNAMICS,),
      needs=("action_units",),
      per_clip=_error(unit),
    )
    for unit, name in enumerate(NAMES)
  ),
  Metric(
    name="au12_half_rise",
    heading="AU12 half rise",
    unit="frame",
    digits=1,
    tables=(DYNAMICS,),
    needs=("action_units",),
    of_set=_au12_half_rise,
    minimum=0.0,
  ),
)

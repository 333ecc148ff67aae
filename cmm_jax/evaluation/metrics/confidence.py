"""Confidence intervals: bootstrap for means, jackknife for sets of clips."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import scipy.special
from jaxtyping import Float, Int

_RESAMPLES = 10_000
_CONFIDENCE = 0.95
_GROUPS = 10


@dataclasses.dataclass(frozen=True)
class Estimate:
  """An estimate from some clips with its 95 % confidence interval.

  `low` and `high` are None if there are too few clips for an interval.
  """

  value: float
  low: float | None
  high: float | None
  clips: int


# model -> label -> metric -> estimate
Table = dict[str, dict[str, dict[str, Estimate]]]


def mean_over_clips(
  values: Float[np.ndarray, " n"], metric: str, seed: int = 0
) -> Estimate:
  """The mean of one value per clip, with a percentile bootstrap interval.

  Clips are resampled as if they were independent; if a person has several, the
  interval is slightly too narrow. The interval of a single clip is a point.

  Args:
    values: one per clip.
    metric: the name used in error messages.
    seed: of the resampling; equal seeds give equal intervals.

  Raises:
    ValueError: there are no clips, or a value is not finite.
  """
  if len(values) == 0:
    raise ValueError(f"{metric} has no clips to average; pass at least one.")
  bad = np.flatnonzero(~np.isfinite(values))
  if len(bad):
    raise ValueError(
      f"{metric} is {values[bad[0]]} for clip {bad[0]} ({len(bad)} of "
      f"{len(values)} clips are not finite): repair these clips, or leave them "
      "out and report that."
    )
  values = values.astype(np.float64)
  means = values[_resamples(len(values), seed)].mean(axis=1)
  tail = (1 - _CONFIDENCE) / 2
  low, high = np.quantile(means, [tail, 1 - tail])
  return Estimate(float(values.mean()), float(low), float(high), len(values))


@functools.lru_cache(maxsize=8)  # the metrics of a model share their clips
def _resamples(number, seed):
  """Which clips each resample holds, [resamples number]."""
  random = np.random.default_rng(seed)
  return random.integers(number, size=(_RESAMPLES, number), dtype=np.int32)


def jackknife(
  statistic: Callable[[Int[np.ndarray, " c"]], float],
  clips: int,
  minimum: float = -np.inf,
) -> Estimate:
  """A statistic of a set of clips, such as the FID, with its interval.

  Uses the delete-a-group jackknife over ten groups of clips (Shao & Tu 1995).
  A bootstrap would repeat clips, which by itself lowers an Inception Score and
  raises a distance.

  Args:
    statistic: from the numbers of some clips to the value for these clips. If
      it is not finite for one of the subsets, there is no interval.
    clips: the number of clips.
    minimum: the smallest possible value, at which the interval is cut.
  """
  every = np.arange(clips)
  value = float(statistic(every))
  groups = min(_GROUPS, clips // 2)
  if groups < 2:
    return Estimate(value, None, None, clips)
  shuffled = np.random.default_rng(0).permutation(clips)
  values = [
    statistic(np.setdiff1d(every, group))
    for group in np.array_split(shuffled, groups)
  ]
  if not np.isfinite(values).all():
    return Estimate(value, None, None, clips)
  deviation = np.sqrt((groups - 1) * np.var(values))
  quantile = scipy.special.stdtrit(groups - 1, 0.5 + _CONFIDENCE / 2)
  low = max(minimum, value - quantile * deviation)
  high = value + quantile * deviation
  return Estimate(value, float(low), float(high), clips)

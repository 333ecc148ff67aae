"""How sure a mean over clips is, and a number that is made of all together."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import scipy.special
from jaxtyping import Float, Int

_RESAMPLES = 10_000
_CONFIDENCE = 0.95
_GROUPS = 10


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A mean, or another number of all clips, and its 95 % interval.

  A number of too few clips to tell how sure it is, or one that is lost when
  some are left out, has no interval: `low` and `high` are None.
  """

  mean: float
  low: float | None
  high: float | None
  clips: int


# model -> label -> metric -> what was found
Table = dict[str, dict[str, dict[str, Estimate]]]


def mean_over_clips(
  values: Float[np.ndarray, " b"], metric: str, seed: int = 0
) -> Estimate:
  """The mean of one value per clip, with its 95 % bootstrap interval.

  The clips are drawn anew with replacement, and the interval runs between the
  percentiles of the means. It takes the clips as independent: where a person
  gives several, it is somewhat too narrow. One clip tells nothing of others, so
  its interval is a point.

  Args:
    values: of each clip.
    metric: what they are called in an error.
    seed: of the drawing; the same values and seed give the same interval.

  Raises:
    ValueError: there are no clips, or a value is not finite.
  """
  if len(values) == 0:
    raise ValueError(f"{metric} has no clips to take a mean of; give some.")
  broken = np.flatnonzero(~np.isfinite(values))
  if len(broken):
    raise ValueError(
      f"{metric} is {values[broken[0]]} for clip {broken[0]} ({len(broken)} of "
      f"{len(values)} clips are not finite): mend the clips or leave them out, "
      "and say so."
    )
  values = values.astype(np.float64)
  number = len(values)
  random = np.random.default_rng(seed)
  drawn = random.integers(number, size=(_RESAMPLES, number), dtype=np.int32)
  means = values[drawn].mean(axis=1)
  tail = (1 - _CONFIDENCE) / 2
  low, high = np.quantile(means, [tail, 1 - tail])
  return Estimate(float(values.mean()), float(low), float(high), number)


def means(
  values: Mapping[str, Float[np.ndarray, " c"]], whose: str
) -> dict[str, Estimate]:
  """Each metric's mean over the clips that have a value: those that are not
  NaN, as rank-1 is where there is no other clip of someone.

  Args:
    values: metric -> one value for each clip.
    whose: what they are called in an error.
  """
  row = {}
  for metric, found in values.items():
    kept = found[~np.isnan(found)]
    if len(kept):
      row[metric] = mean_over_clips(kept, f"{metric} of {whose}")
  return row


def number_of_clips(
  statistic: Callable[[Int[np.ndarray, " c"]], float],
  clips: int,
  least: float = -np.inf,
) -> Estimate:
  """A number that is no mean, such as an FID, with its 95 % interval.

  By the jackknife over ten groups of clips (Shao & Tu 1995): each is left out
  once, and the spread of the ten numbers tells the deviation of the whole.
  Drawing clips anew, as for means, would repeat some of them, which by itself
  lowers an Inception Score and raises a distance.

  Args:
    statistic: of the clips with these numbers.
    clips: how many there are.
    least: what it cannot fall below, nor its interval.
  """
  everything = np.arange(clips)
  value = float(statistic(everything))
  groups = min(_GROUPS, clips // 2)
  if groups < 2:
    return Estimate(value, None, None, clips)
  dealt = np.random.default_rng(0).permutation(clips)
  found = [
    statistic(np.setdiff1d(everything, group))
    for group in np.array_split(dealt, groups)
  ]
  if not np.isfinite(found).all():
    return Estimate(value, None, None, clips)
  deviation = np.sqrt((groups - 1) * np.var(found))
  reach = scipy.special.stdtrit(groups - 1, 0.5 + _CONFIDENCE / 2) * deviation
  low = max(least, value - reach)
  return Estimate(value, float(low), float(value + reach), clips)

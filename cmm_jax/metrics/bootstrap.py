"""How sure a mean over clips is."""

import dataclasses

import numpy as np
from jaxtyping import Float

_RESAMPLES = 10_000
_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A mean and the interval that holds 95 % of its resampled values."""

  mean: float
  low: float
  high: float
  clips: int


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

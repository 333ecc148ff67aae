"""Gaps: frames in which the face or its action units were not measured."""

import numpy as np
from jaxtyping import Bool, Float

# The longest gap that is interpolated (ours).
_MAX_SECONDS = 0.2
_MIN_FRAMES = 2  # allowed at any frame rate


def runs(mask: Bool[np.ndarray, " t"]) -> list[tuple[int, int]]:
  """The runs of consecutive True values as (start, stop), stop excluded."""
  edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(int)))
  return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def max_frames(interval: float) -> int:
  """The longest gap in frames that is interpolated.

  Args:
    interval: the time from one frame to the next in seconds.
  """
  return max(_MIN_FRAMES, round(_MAX_SECONDS / interval))


def first_too_long(
  missing: Bool[np.ndarray, " t"], interval: float
) -> tuple[int, int] | None:
  """The first gap that is too long to interpolate, as (start, stop), if any.

  If every frame is missing, the gap is too long whatever its length.

  Args:
    missing: in which frames nothing was measured.
    interval: the time from one frame to the next in seconds.
  """
  for start, stop in runs(missing):
    if stop - start > max_frames(interval) or missing.all():
      return start, stop
  return None


def interpolate(
  values: Float[np.ndarray, "t d"], missing: Bool[np.ndarray, " t"]
) -> Float[np.ndarray, "t d"]:
  """Fills gaps linearly; one at the start or the end repeats its neighbor.

  Args:
    values: per frame; those of missing frames are ignored.
    missing: in which frames nothing was measured, not all.
  """
  frames, measured = np.arange(len(values)), np.flatnonzero(~missing)
  columns = [
    np.interp(frames, measured, column[measured]) for column in values.T
  ]
  return np.stack(columns, axis=1)

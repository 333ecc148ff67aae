"""The neutral-to-smile segment of a video, and the frames sampled from it.

The paper finds segments by the cheek raiser (AU06) and the lip corner puller
(AU12), samples T frames from the first phase and pads short segments with the
frames that follow (section 4.1). The criteria are ours.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cmm_jax import landmarks
from cmm_jax.preprocess import gaps


class NoSmileError(ValueError):
  """A video without a smile that begins with a neutral face."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
  """What counts as neutral and as a smile (ours); intensities are 0 to 5.

  Attributes:
    smoothing: standard deviation of the Gaussian over time in seconds; 0 for
      none.
    min_au12_rise: how far AU12 rises above its rest in a smile, at least.
    min_au06_rise: how far AU06 rises with it, at least; 0 accepts any smile.
    neutral_level: up to this fraction of its rise an action unit is neutral.
    plateau_level: from this fraction of its plateau AU12 has reached it.
    max_au06_lead: how many seconds before AU12 AU06 may begin to rise.
  """

  smoothing: float = 0.05
  min_au12_rise: float = 1.0
  min_au06_rise: float = 0.0
  neutral_level: float = 0.1
  plateau_level: float = 0.95
  max_au06_lead: float = 0.5


DEFAULT_THRESHOLDS = Thresholds()


@dataclasses.dataclass(frozen=True)
class Segment:
  """A neutral-to-smile segment in frames counted from 0.

  Attributes:
    start: the last neutral frame.
    end: the first frame of the plateau.
    rise: how far AU12 rises, 0 to 5.
  """

  start: int
  end: int
  rise: float


def smooth(
  action_units: Float[np.ndarray, "t 2"], interval: float, smoothing: float
) -> Float[np.ndarray, "t 2"]:
  """Smooths over time with a Gaussian; both times are in seconds."""
  if not smoothing:
    return action_units.astype(np.float64)
  return ndimage.gaussian_filter1d(
    action_units.astype(np.float64),
    smoothing / interval,
    axis=0,
    mode="nearest",
  )


def find_smiles(
  action_units: Float[np.ndarray, "t 2"],
  interval: float,
  thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> list[Segment]:
  """Finds the smiles of a video that begin with a neutral face, in order.

  Args:
    action_units: AU06 and AU12 of each frame, 0 to 5, or the result of
      `movement`.
    interval: the time from one frame to the next in seconds.
    thresholds: what counts as neutral and as a smile.

  Raises:
    NoSmileError: there are none; says why.
  """
  curves = smooth(action_units, interval, thresholds.smoothing)
  au06, au12 = (curves - np.quantile(curves, 0.05, axis=0)).T
  segments, reasons = [], []
  earliest = 0  # the frames before it belong to earlier smiles
  for first, stop in gaps.runs(au12 >= thresholds.min_au12_rise / 2):
    if au12[first:stop].max() >= thresholds.min_au12_rise:
      try:
        segments.append(
          _segment(au06, au12, first, stop, earliest, interval, thresholds)
        )
      except NoSmileError as reason:
        reasons.append(str(reason))
    earliest = stop
  if not segments and not reasons:
    reasons.append(
      f"AU12 rises by {au12.max():.1f} at most, a smile needs "
      f"{thresholds.min_au12_rise:g}"
    )
  if not segments:
    raise NoSmileError("; ".join(reasons))
  return segments


def strongest(segments: Sequence[Segment]) -> Segment:
  """The segment with the largest rise; the first one of equal ones."""
  return max(segments, key=lambda segment: segment.rise)


def movement(
  points: Float[np.ndarray, "t 68 2"],
) -> Float[np.ndarray, "t 2"]:
  """How far a face has moved from its first frames, in place of AU06 and AU12.

  For other expressions than smiles: given this, `find_smiles` returns segments
  from the neutral face to where the face rests again.

  Args:
    points: the landmarks of a video, in pixels.

  Returns:
    Zeros in place of AU06. In place of AU12 the root mean square displacement
    of the landmarks, without the rigid motion of the head; 5 is a tenth of the
    interocular distance.
  """
  centered = points.astype(np.float64)
  centered -= centered.mean(axis=1, keepdims=True)
  rest = np.median(centered[:5], axis=0)
  # The similarity transform of each frame that fits the rest best, as one
  # complex factor: rotation and scale.
  current, target = centered @ [1, 1j], rest @ [1, 1j]
  factor = (current.conj() @ target) / np.sum(np.abs(current) ** 2, axis=1)
  distances = np.abs(factor[:, None] * current - target[None])
  displacement = np.sqrt(np.mean(distances**2, axis=1))
  scale = landmarks.interocular_distance(rest)
  return np.stack(
    [np.zeros(len(displacement)), 50 * displacement / scale], axis=1
  )


def sample_frames(
  times: Float[np.ndarray, " n"], start: int, end: int, num_frames: int
) -> Int[np.ndarray, " {num_frames}"]:
  """Samples frames: evenly from a long segment, all of a short one and more.

  A segment of fewer than `num_frames` frames is padded with the frames that
  follow it and, where the video ends, with its last frame. Samples are even in
  time, so that a variable frame rate is resampled to a constant one.

  Args:
    times: when each frame of the video is shown, in seconds.
    start: the first frame of the segment.
    end: the last frame of the segment.
    num_frames: T, the number of samples.

  Returns:
    Frame numbers, nondecreasing.
  """
  interval = np.median(np.diff(times)) if len(times) > 1 else 1.0
  step = max(interval, (times[end] - times[start]) / (num_frames - 1))
  samples = times[start] + step * np.arange(num_frames)
  after = np.searchsorted(times, samples).clip(1, len(times) - 1)
  before = after - 1
  nearest = np.where(
    samples - times[before] < times[after] - samples, before, after
  )
  return nearest.clip(start, len(times) - 1)


def _segment(au06, au12, first, stop, earliest, interval, thresholds):
  """The segment of the smile in frames `first` to `stop`, `stop` excluded.

  Args:
    au06: smoothed, relative to its rest.
    au12: smoothed, relative to its rest.
    first: the first frame of the smile.
    stop: the frame after its last one.
    earliest: the frame before which no segment may start.
    interval: the time from one frame to the next in seconds.
    thresholds: what counts as neutral and as a smile.
  """
  smiling = au12[first:stop]
  plateau = float(np.median(smiling[smiling >= 0.8 * smiling.max()]))
  au06_rise = au06[first:stop].max()
  name = f"the smile at frame {first}"
  if au06_rise < thresholds.min_au06_rise:
    raise NoSmileError(
      f"{name} raises AU06 by only {au06_rise:.1f}, it needs "
      f"{thresholds.min_au06_rise:g}"
    )
  half = first + int(np.argmax(smiling >= plateau / 2))
  neutral = au12[earliest:half] <= thresholds.neutral_level * plateau
  neutral = np.flatnonzero(neutral) + earliest
  if not len(neutral):
    raise NoSmileError(f"{name} does not begin with a neutral face")
  start = int(neutral[-1])
  if au06_rise >= thresholds.min_au12_rise / 2:  # below, AU06 does not move
    both = neutral[au06[neutral] <= thresholds.neutral_level * au06_rise]
    lead = round(thresholds.max_au06_lead / interval)
    if len(both) and start - both[-1] <= lead:
      start = int(both[-1])
  reached = au12[half:stop] >= thresholds.plateau_level * plateau
  return Segment(start, half + int(np.argmax(reached)), plateau)

"""The neutral-to-smile part of a video, and the frames taken from it.

Section 4.1 of the paper: subsequences are found by the cheek raiser (AU06) and
the lip corner puller (AU12); T frames come from the first phase, padded with
the frames that follow. How exactly is ours.
"""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath
from jaxtyping import Float, Int
from scipy import ndimage

from cmm_jax.preprocess import table


class NoSmileError(ValueError):
  """A video in which no smile begins with a neutral face."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
  """What counts as neutral and as a smile; intensities are 0 to 5 (all ours).

  Attributes:
    smoothing: deviation of the Gaussian over time, in seconds; 0 for none.
    smile: how far AU12 has to rise above its rest.
    cheeks: how far AU06 has to rise with it; 0 for smiles of any kind.
    neutral: up to this share of its rise a unit is at rest.
    plateau: from this share of its plateau AU12 has reached it.
    lead: seconds by which AU06 may begin before AU12.
  """

  smoothing: float = 0.05
  smile: float = 1.0
  cheeks: float = 0.0
  neutral: float = 0.1
  plateau: float = 0.95
  lead: float = 0.5


DEFAULT = Thresholds()


@dataclasses.dataclass(frozen=True)
class Cut:
  """One neutral-to-smile part, in frames counted from 0.

  Attributes:
    start: the last neutral frame.
    end: the first frame of the plateau.
    rise: by how much AU12 is higher there, 0 to 5.
  """

  start: int
  end: int
  rise: float


def read(
  path: epath.Path, name: str = "clip"
) -> dict[str, tuple[tuple[int, int], ...]]:
  """Reads a table of parts that somebody chose.

  Args:
    path: a CSV with the columns `clip,start,end` or `subject,start,end`: the
      last neutral frame and the first of the plateau, counted from 0.
    name: the first column's name.

  Returns:
    For each clip or subject, its parts in the order of the file.

  Raises:
    ValueError: the columns are others, or a line holds no such part.
  """
  parts = collections.defaultdict(dict)
  for number, row in table.read(path, (name, "start", "end")):
    try:
      start, end = int(row["start"]), int(row["end"])
    except ValueError:
      start = end = -1
    if not 0 <= start < end:
      raise ValueError(
        f"Line {number} of {str(path)!r} is {','.join(row.values())!r}, where "
        "two frames were expected, counted from 0, the start before the end."
      )
    if start in parts[row[name]]:
      raise ValueError(
        f"Line {number} of {str(path)!r} names a second part of {row[name]!r} "
        f"that starts at frame {start}: keep one."
      )
    parts[row[name]][start] = end
  return {key: tuple(found.items()) for key, found in parts.items()}


def smooth(
  units: Float[np.ndarray, "t 2"], interval: float, smoothing: float
) -> Float[np.ndarray, "t 2"]:
  """The units' curves without their tremble; times are in seconds."""
  if not smoothing:
    return units.astype(np.float64)
  return ndimage.gaussian_filter1d(
    units.astype(np.float64), smoothing / interval, axis=0, mode="nearest"
  )


def find(
  units: Float[np.ndarray, "t 2"],
  interval: float,
  thresholds: Thresholds = DEFAULT,
) -> list[Cut]:
  """All smiles of a video that begin with a neutral face, in order.

  Args:
    units: AU06 and AU12 of each frame, 0 to 5; or what `movement` gives.
    interval: from a frame to the next, in seconds.
    thresholds: what counts as neutral and as a smile.

  Raises:
    NoSmileError: there is none; says why.
  """
  curves = smooth(units, interval, thresholds.smoothing)
  au06, au12 = (curves - np.quantile(curves, 0.05, axis=0)).T
  cuts, reasons = [], []
  free = 0  # from here on no frame belongs to an earlier smile
  for first, stop in _stretches(au12 >= thresholds.smile / 2):
    peak = au12[first:stop].max()
    if peak >= thresholds.smile:
      try:
        start, end, rise = _cut(
          au06, au12, first, stop, free, interval, thresholds
        )
        cuts.append(Cut(start, end, rise))
      except NoSmileError as reason:
        reasons.append(str(reason))
    free = stop
  if not cuts and not reasons:
    reasons.append(
      f"AU12 rises by {au12.max():.1f} at most, a smile needs "
      f"{thresholds.smile:g}"
    )
  if not cuts:
    raise NoSmileError("; ".join(reasons))
  return cuts


def strongest(cuts: Sequence[Cut]) -> Cut:
  """The one with the largest rise; of equal ones the first."""
  return max(cuts, key=lambda cut: cut.rise)


def movement(
  points: Float[np.ndarray, "t 68 2"],
) -> Float[np.ndarray, "t 2"]:
  """How far a face has moved from its first frames, in place of AU06 and AU12.

  For expressions that are no smiles: `find` then cuts from neutral to wherever
  the face rests again. The second column is the way of the points, root mean
  square, the head's own movement taken out; 5 is a tenth of the distance
  between the eyes' outer corners. The first is 0.
  """
  still = points.astype(np.float64)
  still -= still.mean(axis=1, keepdims=True)
  rest = np.median(still[:5], axis=0)
  # The similarity that brings each frame nearest to the rest, as one complex
  # factor: turn and scale.
  plane, aim = still @ [1, 1j], rest @ [1, 1j]
  factor = (plane.conj() @ aim) / np.sum(np.abs(plane) ** 2, axis=1)
  gaps = np.abs(factor[:, None] * plane - aim[None])
  away = np.sqrt(np.mean(gaps**2, axis=1))
  eyes = np.linalg.norm(rest[36] - rest[45])
  return np.stack([np.zeros(len(away)), 50 * away / eyes], axis=1)


def sample(
  times: Float[np.ndarray, " n"], start: int, end: int, num_frames: int
) -> Int[np.ndarray, " {num_frames}"]:
  """Which frames to take: evenly from a long part, all and more from a short.

  A part of fewer than `num_frames` frames is padded with those that follow it,
  and where the video ends, with its last one. Evenly means in time, so that a
  variable rate plays at its own pace.

  Args:
    times: when each frame of the video is shown, in seconds.
    start: the first frame to take.
    end: the part's last frame.
    num_frames: T.
  """
  interval = np.median(np.diff(times)) if len(times) > 1 else 1.0
  step = max(interval, (times[end] - times[start]) / (num_frames - 1))
  wanted = times[start] + step * np.arange(num_frames)
  after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
  before = after - 1
  nearer = np.where(
    wanted - times[before] < times[after] - wanted, before, after
  )
  return nearer.clip(start, len(times) - 1)


def _cut(au06, au12, first, stop, free, interval, thresholds):
  """The start and end of the smile in frames `first` to `stop`."""
  smiling = au12[first:stop]
  level = float(np.median(smiling[smiling >= 0.8 * smiling.max()]))
  cheeks = au06[first:stop].max()
  where = f"the smile at frame {first}"
  if cheeks < thresholds.cheeks:
    raise NoSmileError(
      f"{where} raises AU06 by {cheeks:.1f} only, {thresholds.cheeks:g} are "
      "wanted"
    )
  half = first + int(np.argmax(smiling >= level / 2))
  calm = np.flatnonzero(au12[free:half] <= thresholds.neutral * level) + free
  if not len(calm):
    raise NoSmileError(f"{where} does not begin with a neutral face")
  start = int(calm[-1])
  if cheeks >= thresholds.smile / 2:  # less is no movement of its own
    both = calm[au06[calm] <= thresholds.neutral * cheeks]
    lead = round(thresholds.lead / interval)
    if len(both) and start - both[-1] <= lead:
      start = int(both[-1])
  end = half + int(np.argmax(au12[half:stop] >= thresholds.plateau * level))
  return start, end, level


def _stretches(where):
  """The stretches of True as starts and stops."""
  edges = np.flatnonzero(np.diff(np.r_[False, where, False].astype(int)))
  return edges.reshape(-1, 2).tolist()

"""One face followed through a video."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from cmm_jax.preprocess import faces

# Found frame by frame, points tremble by about 1 % of the distance between the
# eyes; over this time they are averaged (deviation of a Gaussian, ours). It
# takes away two thirds of that and leaves a blink of 0.15 s.
SMOOTHING = 0.03  # seconds

# The longest stretch without the face that is bridged by a straight line.
MAX_GAP = 0.2  # seconds; never less than two frames

# From one frame to the next a face moves by less than this share of its side,
# and grows or shrinks by less than this factor; otherwise it is another one.
_REACH, _GROWTH = 0.5, 1.6


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
  """Where one face is, frame by frame.

  Attributes:
    points: the landmarks in pixels of the video's pictures, smoothed.
    found: where the face was seen; elsewhere its points are interpolated.
  """

  points: Float[np.ndarray, "t 68 2"]
  found: Bool[np.ndarray, " t"]


class Follower:
  """Finds the same face in one picture after the other.

  It is the largest one of the first picture that has any.
  """

  def __init__(self, finder: faces.Finder):
    self._finder = finder
    self._last: faces.Face | None = None
    self._missed = 0

  def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> faces.Face | None:
    """The face in the next picture; None where it is not seen."""
    found = self._finder.find(picture, self._last)
    if self._last is not None:
      found = [face for face in found if self._may_be_last(face)]
    if not found:
      self._missed += 1
      return None
    self._missed = 0
    self._last = max(found, key=lambda face: face.area)
    return self._last

  def _may_be_last(self, face):
    middle, side = _middle_and_side(face)
    last_middle, last_side = _middle_and_side(self._last)
    reach = _REACH * last_side * (1 + self._missed)
    return (
      np.abs(middle - last_middle).max() < reach
      and max(side / last_side, last_side / side) < _GROWTH
    )


def join(
  found: Iterable[faces.Face | None],
  interval: float,
  first: int = 0,
  source: str = "the video",
) -> Track:
  """What a `Follower` saw as one track, its short gaps bridged.

  Args:
    found: the face of each frame, None where it was not seen.
    interval: from a frame to the next, in seconds.
    first: the first frame's number, for errors.
    source: what the video is called in an error.

  Raises:
    NoFaceError: the face is away for longer than `MAX_GAP`; names the frames.
    SmallFaceError: it has too few pixels.
  """
  found = list(found)
  seen = np.array([face is not None for face in found])
  allowed = max(2, round(MAX_GAP / interval))
  for start, stop in _stretches(~seen):
    if stop - start > allowed or not seen.any():
      raise faces.NoFaceError(
        f"No face in frames {first + start} to {first + stop - 1} of {source}; "
        f"up to {allowed} in a row may lack it: cut them away, or name the "
        "part that is to be used."
      )
  faces.largest([face for face in found if face is not None], source)
  numbers = np.flatnonzero(seen)
  known = np.stack([found[i].points for i in numbers]).reshape(len(numbers), -1)
  every = np.arange(len(found))
  points = np.stack(
    [np.interp(every, numbers, column) for column in known.T], axis=1
  )
  points = ndimage.gaussian_filter1d(
    points, SMOOTHING / interval, axis=0, mode="nearest"
  )
  points = points.reshape(-1, 68, 2).astype(np.float32)
  return Track(points, seen)


def _stretches(missing):
  """The stretches of True as starts and stops."""
  edges = np.flatnonzero(np.diff(np.r_[False, missing, False].astype(int)))
  return edges.reshape(-1, 2).tolist()


def _middle_and_side(face):
  left, top, right, bottom = face.box
  middle = np.array([left + right, top + bottom]) / 2
  return middle, max(right - left, bottom - top) + 1

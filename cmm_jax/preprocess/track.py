"""Tracks one face through a video."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from cmm_jax.preprocess import crops, faces, gaps

# The standard deviation of the Gaussian over time that smooths the landmarks
# (ours). Detected frame by frame, they jitter by about 1 % of the interocular
# distance; this removes two thirds of it and preserves a blink of 0.15 s.
_SMOOTHING = 0.03  # seconds

# Between two frames a face moves by less than this fraction of its side and
# its size changes by less than this factor; otherwise it is another face.
_MAX_MOTION, _MAX_GROWTH = 0.5, 1.6


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
  """One face in every frame of a video.

  Attributes:
    points: the smoothed landmarks in pixels of the video.
    detected: in which frames the face was detected; in the others, its
      landmarks are interpolated.
  """

  points: Float[np.ndarray, "t 68 2"]
  detected: Bool[np.ndarray, " t"]


class FaceTracker:
  """Detects the same face in successive frames.

  It is the largest face of the first frame that has any.
  """

  def __init__(self, detector: faces.FaceDetector):
    self._detector = detector
    self._last: faces.Face | None = None
    self._num_missed = 0

  def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> faces.Face | None:
    """The face in the next frame; None if it is not detected."""
    candidates = self._detector.detect(image, self._last)
    if self._last is not None:
      candidates = [face for face in candidates if self._may_be_last(face)]
    if not candidates:
      self._num_missed += 1
      return None
    self._num_missed = 0
    self._last = max(candidates, key=lambda face: face.area)
    return self._last

  def _may_be_last(self, face):
    side, last_side = crops.box_side(face.box), crops.box_side(self._last.box)
    motion = np.abs(_center(face.box) - _center(self._last.box)).max()
    return (
      motion < _MAX_MOTION * last_side * (1 + self._num_missed)
      and max(side / last_side, last_side / side) < _MAX_GROWTH
    )


def from_detections(
  detections: Iterable[faces.Face | None],
  interval: float,
  first_frame: int = 0,
  source: str = "the video",
) -> Track:
  """Interpolates short gaps between detections and smooths the landmarks.

  Args:
    detections: a `FaceTracker`'s results for successive frames.
    interval: the time from one frame to the next in seconds.
    first_frame: the number of the first frame, for error messages.
    source: what error messages call the video.

  Raises:
    NoFaceError: a gap is too long to interpolate (gaps.py); names its frames.
    SmallFaceError: the face has too few pixels.
  """
  detections = list(detections)
  detected = np.array([face is not None for face in detections])
  if gap := gaps.first_too_long(~detected, interval):
    raise faces.NoFaceError(
      f"No face was detected in frames {first_frame + gap[0]} to "
      f"{first_frame + gap[1] - 1} of {source}; at most "
      f"{gaps.max_frames(interval)} in a row may lack it. Cut these frames "
      "off, or specify a segment without them."
    )
  faces.largest([face for face in detections if face is not None], source)
  missing = np.zeros((68, 2), np.float32)
  points = np.stack(
    [missing if face is None else face.points for face in detections]
  )
  points = gaps.interpolate(points.reshape(len(points), -1), ~detected)
  points = ndimage.gaussian_filter1d(
    points, _SMOOTHING / interval, axis=0, mode="nearest"
  )
  return Track(points.reshape(-1, 68, 2).astype(np.float32), detected)


def _center(box):
  left, top, right, bottom = box
  return np.array([left + right, top + bottom]) / 2

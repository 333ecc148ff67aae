"""Source videos, preprocessing settings and the resulting aligned clips."""

import dataclasses

import numpy as np
from etils import epath
from jaxtyping import Float, Int, UInt8

from cmm_jax.preprocess import detectors
from cmm_jax.preprocess.action_units import ActionUnitSource
from cmm_jax.preprocess.disfa import DisfaLandmarks
from cmm_jax.preprocess.segment import DEFAULT_THRESHOLDS, Thresholds

SEGMENTS = ("smile", "movement", "whole")


@dataclasses.dataclass(frozen=True)
class SourceVideo:
  """A video to preprocess, and what is known about it.

  Attributes:
    key: a stable name, from which the keys of clips derive.
    path: the video file, or a folder of frames.
    label: the kind of expression.
    subject: the identity.
    frames_per_second: the frame rate of a folder of frames.
    action_units: where its action units are; None to estimate them.
    segments: manually chosen segments as first and last frames, counted from 0
      and both included; None to find one.
    reference_landmarks: the dataset's own landmarks, if it has any.
  """

  key: str
  path: epath.PathLike
  label: str
  subject: str
  frames_per_second: float | None = None
  action_units: ActionUnitSource | None = None
  segments: tuple[tuple[int, int], ...] | None = None
  reference_landmarks: DisfaLandmarks | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
  """How videos are preprocessed.

  Attributes:
    num_frames: T, the number of frames of each clip.
    size: height and width of the aligned frames in pixels.
    detector: the face detector, one of `detectors.NAMES`.
    segment: the part of each video that becomes a clip, one of `SEGMENTS`:
      "smile" by the action units, "movement" by the landmarks for other
      expressions, "whole" for videos that are cut already.
    thresholds: what counts as neutral and as a smile.

  Raises:
    ValueError: the detector or the segment is unknown.
  """

  num_frames: int = 32
  size: int = 64
  detector: str = "dlib"
  segment: str = "smile"
  thresholds: Thresholds = DEFAULT_THRESHOLDS

  def __post_init__(self):
    for name, known in (("detector", detectors.NAMES), ("segment", SEGMENTS)):
      value = getattr(self, name)
      if value not in known:
        raise ValueError(
          f"No {name} {value!r}; choose one of {', '.join(known)}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
  """An aligned clip and its provenance.

  Attributes:
    key: that of the source, with the first frame's number if a video gives
      several clips.
    source: the video.
    frames: the aligned face.
    landmarks: in pixels of the frames.
    action_units: AU06 and AU12 of the frames, 0 to 5.
    action_units_source: where these come from.
    start: the first frame of the segment, in frames of the video from 0.
    end: the last frame of the segment.
    frame_numbers: which frames of the video were sampled.
    times: of all frames of the video, in seconds.
    curves: AU06 and AU12, or the movement, of all frames of the video, by which
      the segment was found.
    num_interpolated: sampled frames without a detected face, whose landmarks
      are interpolated.
    landmark_error: the distance from the reference landmarks in % of the
      interocular distance; NaN without these.
  """

  key: str
  source: SourceVideo
  frames: UInt8[np.ndarray, "t h w 3"]
  landmarks: Float[np.ndarray, "t 68 2"]
  action_units: Float[np.ndarray, "t 2"]
  action_units_source: str
  start: int
  end: int
  frame_numbers: Int[np.ndarray, " t"]
  times: Float[np.ndarray, " n"]
  curves: Float[np.ndarray, "n 2"]
  num_interpolated: int
  landmark_error: float = float("nan")

  @property
  def num_repeated(self) -> int:
    """How often the last frame is repeated because the video ends."""
    return int(np.sum(self.frame_numbers == self.frame_numbers[-1])) - 1

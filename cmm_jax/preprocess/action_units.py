"""AU06 (cheek raiser) and AU12 (lip corner puller) of every frame, 0 to 5.

From OpenFace's tables or estimated from MediaPipe's blendshapes; disfa.py reads
the labels of DISFA and DISFA+. A source of action units is a small record of
file names that can be pickled, and its name is stored with each clip.
"""

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from etils import epath
from jaxtyping import Float

from cmm_jax import excerpt
from cmm_jax.preprocess import decode, gaps

MAX_INTENSITY = 5.0
BLENDSHAPES = "mediapipe blendshapes"  # the name of estimated action units

# OpenFace's own threshold for a reliable frame.
_MIN_CONFIDENCE = 0.7

# The intensity per unit of a blendshape above the video's neutral (ours, set on
# rendered faces: mouthSmile is 0.9 at an AU12 of 4.5; eyeSquint rises by 0.25
# to 0.45 at an AU06 of 2 to 5, and by as much without AU06).
_SMILE_GAIN, _SQUINT_GAIN = 5.0, 10.0

ActionUnits = Float[np.ndarray, "t 2"]


class ActionUnitError(ValueError):
  """Action units that cannot be used."""


class ActionUnitSource(Protocol):
  """Files with the action units of a video."""

  name: str

  def read(self, video: decode.Video) -> ActionUnits:
    """AU06 and AU12 of every frame, 0 to 5; NaN where unreliable."""


@dataclasses.dataclass(frozen=True)
class OpenFaceTable:
  """The CSV that OpenFace 2's FeatureExtraction writes for a video."""

  path: epath.Path
  name = "openface"

  def read(self, video: decode.Video) -> ActionUnits:
    """One row per frame of the video, NaN where OpenFace is not confident.

    If a frame has several faces, the most confident one counts. The table may
    be a few frames longer or shorter than the video
    (`decode.FRAME_COUNT_TOLERANCE`): it is cut, or its last row is repeated.

    Raises:
      ActionUnitError: the file is not such a table, or lacks columns or frames.
      FileNotFoundError: there is no such file.
    """
    table = self._rows()
    numbers = {int(row[0]) for row in table}
    contiguous = numbers == set(range(1, len(numbers) + 1))
    if not numbers or not contiguous or differ_in_length(numbers, video):
      raise ActionUnitError(
        f"The table {str(self.path)!r} has {len(numbers)} frames"
        f"{f' up to {max(numbers)}' if numbers else ''}, its video "
        f"{str(video.path)!r} has {len(video)}: create it again from this "
        "video."
      )
    aus = np.full((len(numbers), 2), np.nan)
    best = np.full(len(numbers), -1.0)
    for frame, confidence, success, *values in table:
      i = int(frame) - 1
      if success and confidence >= max(_MIN_CONFIDENCE, best[i]):
        aus[i], best[i] = values, confidence
    return fit_length(aus, video)

  def _rows(self):
    """Frame, confidence, success, AU06 and AU12 of each row."""
    try:
      rows = list(csv.reader(read_lines(self.path), skipinitialspace=True))
    except csv.Error as error:
      raise ActionUnitError(
        f"The table {str(self.path)!r} is not a CSV ({error}): create it again."
      ) from error
    names = [name.strip() for name in rows[0]] if rows else []
    wanted = ("frame", "confidence", "success", "AU06_r", "AU12_r")
    missing = [name for name in wanted if name not in names]
    if missing:
      raise ActionUnitError(
        f"The table {str(self.path)!r} lacks the columns {', '.join(missing)}: "
        "create it with OpenFace's FeatureExtraction -aus."
      )
    columns = [names.index(name) for name in wanted]
    table = []
    for number, row in enumerate(rows[1:], start=2):
      if not row:
        continue
      try:
        values = [float(row[i]) for i in columns]
        if not math.isfinite(sum(values)):
          raise ValueError
      except (ValueError, IndexError) as error:
        raise ActionUnitError(
          f"Line {number} of the table {str(self.path)!r} is truncated or not "
          f"numeric ({excerpt.quote(','.join(row))}): create it again."
        ) from error
      table.append(values)
    return table


def from_blendshapes(
  blendshapes: Sequence[Mapping[str, float] | None],
) -> ActionUnits:
  """Estimates action units from MediaPipe's blendshapes, for lack of better.

  AU12 is proportional to mouthSmile and AU06 to eyeSquint, both relative to the
  neutral of the video: their median over the fifth of the frames with the
  lowest mouthSmile. **AU06 is a weak proxy**: anything that narrows the eyes
  raises it, and MediaPipe's cheekSquint, its proper counterpart, is always 0.

  Args:
    blendshapes: of each frame; None where no face was detected, which gives
      NaN.

  Raises:
    ActionUnitError: no frame has any.
  """
  pairs = np.array(
    [
      [np.nan, np.nan]
      if one is None
      else [
        (one["eyeSquintLeft"] + one["eyeSquintRight"]) / 2,
        (one["mouthSmileLeft"] + one["mouthSmileRight"]) / 2,
      ]
      for one in blendshapes
    ]
  )
  smile = pairs[:, 1]
  if np.isnan(smile).all():
    raise ActionUnitError(
      "MediaPipe detects no face in any frame: leave the video out."
    )
  neutral = pairs[smile <= np.nanquantile(smile, 0.2)]
  rise = (pairs - np.median(neutral, axis=0)) * [_SQUINT_GAIN, _SMILE_GAIN]
  return np.clip(rise, 0, MAX_INTENSITY).astype(np.float32)


def interpolate_gaps(
  aus: ActionUnits,
  interval: float,
  first_frame: int = 0,
  source: str = "the video",
) -> ActionUnits:
  """Interpolates short gaps linearly.

  Args:
    aus: of successive frames, NaN where unreliable.
    interval: the time from one frame to the next in seconds.
    first_frame: the number of the first frame, for error messages.
    source: what error messages call the video.

  Raises:
    ActionUnitError: a gap is too long (gaps.py); names its frames.
  """
  missing = np.isnan(aus).any(axis=1)
  if gap := gaps.first_too_long(missing, interval):
    raise ActionUnitError(
      f"No reliable action units in frames {first_frame + gap[0]} to "
      f"{first_frame + gap[1] - 1} of {source}; at most "
      f"{gaps.max_frames(interval)} in a row may lack them. Leave the video "
      "out, or specify a segment without them."
    )
  return gaps.interpolate(aus, missing).astype(np.float32)


def differ_in_length(values, video: decode.Video) -> bool:
  """Whether the numbers of values and frames differ by more than usual."""
  return abs(len(values) - len(video)) > decode.FRAME_COUNT_TOLERANCE


def fit_length(aus: ActionUnits, video: decode.Video) -> ActionUnits:
  """Cuts to the length of the video, or repeats the last frame's values."""
  return aus[np.minimum(np.arange(len(video)), len(aus) - 1)]


def read_lines(path: epath.Path) -> list[str]:
  """The lines of a text file that are not empty.

  Raises:
    FileNotFoundError: there is no such file.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f"No action units in {str(path)!r}: copy them there."
    )
  text = path.read_bytes().decode("utf-8-sig", "replace")
  return [line for line in text.splitlines() if line.strip()]

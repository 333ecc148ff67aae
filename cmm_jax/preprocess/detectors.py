"""The choice of a face detector."""

import contextlib
import functools

from cmm_jax.preprocess import faces, mediapipe_faces

NAMES = ("dlib", "mediapipe")

# Loading dlib's models takes a second, so that a process does it once.
_dlib_detector = functools.cache(faces.FaceDetector)


def open_detector(
  name: str,
) -> contextlib.AbstractContextManager[
  faces.FaceDetector | mediapipe_faces.FaceDetector
]:
  """A context manager that gives the face detector of this name.

  Raises:
    ValueError: the name is not one of `NAMES`.
  """
  if name == "dlib":
    return contextlib.nullcontext(_dlib_detector())
  if name == "mediapipe":
    return contextlib.nullcontext(mediapipe_faces.FaceDetector())
  raise ValueError(f"No detector {name!r}; choose one of {', '.join(NAMES)}.")

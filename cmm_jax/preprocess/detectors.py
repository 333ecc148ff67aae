"""The choice of a face detector."""

import functools

from cmm_jax.preprocess import faces, mediapipe_faces

NAMES = ("mediapipe", "dlib")

# Loading the models takes up to a second, so that a process does it once.
_MAKE = {
  "mediapipe": functools.cache(mediapipe_faces.FaceDetector),
  "dlib": functools.cache(faces.FaceDetector),
}


def get_detector(
  name: str,
) -> faces.FaceDetector | mediapipe_faces.FaceDetector:
  """The face detector of this name; it loads its models at the first image.

  Raises:
    ValueError: the name is not one of `NAMES`.
  """
  if name not in _MAKE:
    raise ValueError(f"No detector {name!r}; choose one of {', '.join(NAMES)}.")
  return _MAKE[name]()

"""Landmark error, by dlib's landmarks of the generated faces.

Baselines generate no landmarks. The landmarks of all models, and of the
originals, are therefore predicted from the faces by one network, whose error on
the originals is the lower bound.
"""

import functools

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from cmm_jax.evaluation.metrics.metric import DYNAMICS, Metric
from cmm_jax.preprocess import faces


def predict(
  frames: UInt8[np.ndarray, "n h w 3"],
  boxes: Int[np.ndarray, "n 4"],
) -> Float[np.ndarray, "n 68 2"]:
  """Predicts the landmarks of faces, in pixels; takes some ms a frame.

  Aligned faces stay in place, so the landmarks of the first frame tell where
  the face is. Nothing is detected, and a face that is too degraded for a
  detector is measured too.

  Args:
    frames: with one face each.
    boxes: where the faces are, as `face_box` returns it.

  Raises:
    ModuleNotFoundError: dlib or the package with its model is missing.
  """
  return np.stack(
    [
      _detector().predict_landmarks(frame, tuple(box.tolist()))
      for frame, box in zip(frames, boxes, strict=True)
    ]
  )


@functools.cache
def _detector():
  return faces.FaceDetector()


def face_box(points: Float[np.ndarray, "68 2"]) -> Int[np.ndarray, "4"]:
  """The square that dlib's detector puts around a face with these landmarks."""
  low, high = points.min(axis=0), points.max(axis=0)
  side = (high - low).max()
  center = (low + high) / 2
  corners = np.concatenate([center - side / 2, center + side / 2])
  return np.rint(corners).astype(int)


def landmark_error(
  points: Float[np.ndarray, "*any 68 2"],
  truth: Float[np.ndarray, "*any 68 2"],
  size: int,
) -> float:
  """The mean distance in pixels to the true landmarks inside the frame.

  Args:
    points: in pixels.
    truth: in pixels; landmarks outside the frame are ignored.
    size: height and width of the frame in pixels.
  """
  gaps = np.linalg.norm(points - truth, axis=-1)
  return float(gaps[_inside(truth, size)].mean())


def _inside(points, size) -> Bool[np.ndarray, "*any 68"]:
  return ((points > 0) & (points < size - 1)).all(axis=-1)


def _error_of_clips(model, originals):
  """The landmark error of each clip to the clip's own landmarks."""
  size = originals.videos.shape[2]
  pairs = zip(model.landmarks, originals.true_landmarks, strict=True)
  return [landmark_error(*pair, size) for pair in pairs]


METRICS = (
  Metric(
    name="landmark_error",
    heading="landmark error",
    unit="px",
    better="lower",
    digits=2,
    tables=(DYNAMICS,),
    needs=("landmarks",),
    per_clip=_error_of_clips,
  ),
)

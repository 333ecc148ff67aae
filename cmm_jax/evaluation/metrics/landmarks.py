"""The 68 points of faces that nobody has drawn landmarks for, by dlib.

What a baseline makes has no landmarks of its own, so those of all models, and
of the true clips beside them, are read from the faces by one instrument. Quote
its distance from the true points on true faces.
"""

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.preprocess import faces


class FacePoints:
  """Reads aligned faces; a frame takes some milliseconds on one processor.

  Aligned faces stay where the neutral one was, so its points say where to look:
  nothing has to be detected, and a face too spoiled to be detected is read too.
  """

  def __init__(self):
    self._finder = faces.Finder()

  def __call__(
    self,
    frames: UInt8[np.ndarray, "t h w 3"],
    neutral: Float[np.ndarray, "68 2"],
  ) -> Float[np.ndarray, "t 68 2"]:
    """The points of each frame of one video, in its pixels.

    Args:
      frames: of one person.
      neutral: the landmarks of the neutral face.

    Raises:
      ModuleNotFoundError: dlib, or the package with the model, is missing.
    """
    box = _box(neutral)
    return np.stack([self._finder.points_in(frame, box) for frame in frames])


def _box(points):
  """The square that dlib's detector puts around a face with these points."""
  low, high = points.min(axis=0), points.max(axis=0)
  side = (high - low).max()
  centre = (low + high) / 2
  corners = np.concatenate([centre - side / 2, centre + side / 2])
  return tuple(np.rint(corners).astype(int).tolist())

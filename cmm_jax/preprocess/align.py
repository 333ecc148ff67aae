"""Alignment: every face upright, at the same place and of the same size.

The line from the eyes' centre to the mouth becomes vertical, with the eyes'
centre in the middle column (section 4.1). Where in it, and how large, is ours.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import landmarks

# As shares of the frame's side (ours). Eyes to mouth fill 27 of 64 pixels, so
# that a full smile moves the corners of the mouth by several of them.
EYES_ROW = 0.28
EYES_TO_MOUTH = 27 / 64


@dataclasses.dataclass(frozen=True)
class Similarity:
  """Turns, scales and shifts a picture's points into those of the frame.

  place_in_frame = matrix @ place_in_picture + shift, both as (x, y) in pixels.
  """

  matrix: Float[np.ndarray, "2 2"]
  shift: Float[np.ndarray, " 2"]

  def points(
    self, points: Float[np.ndarray, "*any 2"]
  ) -> Float[np.ndarray, "*any 2"]:
    """The points where they come to lie in the frame."""
    return points @ self.matrix.T + self.shift

  def image(
    self, picture: UInt8[np.ndarray, "h w 3"], size: int
  ) -> UInt8[np.ndarray, "size size 3"]:
    """The frame of `size` by `size` pixels, averaged where it gets smaller."""
    # Pillow's resize averages and its transform does not: turn and cut out at
    # the picture's own resolution or a little above, then reduce.
    shrink = 1 / np.sqrt(abs(np.linalg.det(self.matrix)))
    factor = max(1, int(np.ceil(shrink)))
    inverse = np.linalg.inv(self.matrix)
    # Frame pixel j covers the large pixels factor * j to factor * (j + 1) - 1.
    offset = inverse @ (np.full(2, (1 / factor - 1) / 2) - self.shift)
    step = inverse / factor
    # Pillow samples at pixel corners plus a half; points here are centres.
    offset = offset + 0.5 - step @ np.full(2, 0.5)
    large = Image.fromarray(picture).transform(
      (size * factor, size * factor),
      Image.Transform.AFFINE,
      (*step[0], offset[0], *step[1], offset[1]),
      resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(large.reduce(factor) if factor > 1 else large)


def similarity(
  points: Float[np.ndarray, "68 2"],
  size: int,
  neutral: Float[np.ndarray, "68 2"] | None = None,
) -> Similarity:
  """Where a face has to go to be aligned.

  Args:
    points: the landmarks of the picture, in its pixels.
    size: side of the square frame in pixels.
    neutral: the landmarks of the clip's neutral frame, from which the scale is
      taken, so that a smile, which lifts the mouth, does not enlarge the face.

  Returns:
    The similarity from the picture to the frame.

  Raises:
    ValueError: the eyes and the mouth are at the same place.
  """
  eyes, down = _eyes_and_mouth(points)
  _, reference = _eyes_and_mouth(points if neutral is None else neutral)
  length, reference = np.linalg.norm(down), np.linalg.norm(reference)
  if min(length, reference) < 1e-3:
    raise ValueError(
      "The eyes and the mouth lie on one another, which no face does: the "
      "landmarks are wrong, find them again."
    )
  scale = EYES_TO_MOUTH * size / reference
  x, y = down / length
  # Rows: what becomes the frame's x, and what becomes its y.
  matrix = scale * np.array([[y, -x], [x, y]])
  target = np.array([(size - 1) / 2, EYES_ROW * size])
  return Similarity(matrix, target - matrix @ eyes)


def align(
  picture: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "68 2"],
  size: int,
  neutral: Float[np.ndarray, "68 2"] | None = None,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "68 2"]]:
  """Cuts the aligned face out of a picture.

  Args:
    picture: RGB.
    points: its landmarks, in its pixels.
    size: side of the square frame in pixels.
    neutral: as in `similarity`.

  Returns:
    The frame, black where the picture ends, and the landmarks in its pixels.
  """
  move = similarity(points, size, neutral)
  return move.image(picture, size), move.points(points).astype(np.float32)


def _eyes_and_mouth(points):
  """The eyes' centre, and the way from there to the mouth."""
  points = np.asarray(points, np.float64)
  eyes = points[list(landmarks.EYE_CORNERS)].mean(axis=0)
  mouth = points[list(landmarks.MOUTH_CORNERS)].mean(axis=0)
  return eyes, mouth - eyes

"""Alignment: every face upright, at the same position and of the same size.

The line from the center of the eyes to the mouth becomes vertical, and the
center of the eyes lies in the middle column (section 4.1). The row of the eyes
and the scale are ours.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import landmarks

# As fractions of the frame's side (ours). From the eyes to the mouth there are
# 27 of 64 pixels, so that a full smile moves the mouth corners by several.
EYES_ROW = 0.28
EYES_TO_MOUTH = 27 / 64


@dataclasses.dataclass(frozen=True)
class Similarity:
  """Rotates, scales and translates an image to the aligned frame.

  frame_point = matrix @ image_point + shift, both as (x, y) in pixels.
  """

  matrix: Float[np.ndarray, "2 2"]
  shift: Float[np.ndarray, " 2"]

  def transform(
    self, points: Float[np.ndarray, "*any 2"]
  ) -> Float[np.ndarray, "*any 2"]:
    """Maps points of the image to the frame."""
    return points @ self.matrix.T + self.shift

  def inverse_transform(
    self, points: Float[np.ndarray, "*any 2"]
  ) -> Float[np.ndarray, "*any 2"]:
    """Maps points of the frame to the image."""
    return (points - self.shift) @ np.linalg.inv(self.matrix).T

  def warp(
    self, image: UInt8[np.ndarray, "h w 3"], size: int
  ) -> UInt8[np.ndarray, "size size 3"]:
    """Renders the frame, `size` by `size` pixels, antialiased."""
    # Pillow antialiases in `reduce` but not in `transform`: transform at about
    # the image's own resolution, then reduce.
    downscaling = 1 / np.sqrt(abs(np.linalg.det(self.matrix)))
    factor = max(1, int(np.ceil(downscaling)))
    inverse = np.linalg.inv(self.matrix)
    # Frame pixel j covers the large pixels factor * j to factor * (j + 1) - 1.
    offset = inverse @ (np.full(2, (1 / factor - 1) / 2) - self.shift)
    step = inverse / factor
    # Pillow's coordinates of pixel centers are halves, ours are whole numbers.
    offset = offset + 0.5 - step @ np.full(2, 0.5)
    large = Image.fromarray(image).transform(
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
  """The transform that aligns a face.

  Args:
    points: the landmarks in pixels of the image.
    size: side of the square frame in pixels.
    neutral: the landmarks of the clip's neutral frame. They determine the
      scale, so that a smile, which lifts the mouth, does not enlarge the face.

  Returns:
    The similarity from the image to the frame.

  Raises:
    ValueError: the eyes and the mouth coincide.
  """
  eyes, mouth = landmarks.eyes_and_mouth(np.asarray(points, np.float64))
  down = mouth - eyes
  length = reference = np.linalg.norm(down)
  if neutral is not None:
    eyes_of_neutral, mouth_of_neutral = landmarks.eyes_and_mouth(
      np.asarray(neutral, np.float64)
    )
    reference = np.linalg.norm(mouth_of_neutral - eyes_of_neutral)
  if min(length, reference) < 1e-3:
    raise ValueError(
      "The eyes and the mouth coincide: these are not landmarks of a face, "
      "detect them again."
    )
  scale = EYES_TO_MOUTH * size / reference
  x, y = down / length
  # The rows give the frame's x and its y.
  matrix = scale * np.array([[y, -x], [x, y]])
  target = np.array([(size - 1) / 2, EYES_ROW * size])
  return Similarity(matrix, target - matrix @ eyes)


def align(
  image: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "68 2"],
  size: int,
  neutral: Float[np.ndarray, "68 2"] | None = None,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "68 2"]]:
  """Crops the aligned face from an image.

  Args:
    image: RGB.
    points: its landmarks in pixels.
    size: side of the square frame in pixels.
    neutral: as in `similarity`.

  Returns:
    The frame, black outside the image, and the landmarks in its pixels.

  Raises:
    ValueError: the eyes and the mouth coincide.
  """
  to_frame = similarity(points, size, neutral)
  frame = to_frame.warp(image, size)
  return frame, to_frame.transform(points).astype(np.float32)

"""Rotated square crops of an image, and the map between their coordinates."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float, UInt8


@dataclasses.dataclass(frozen=True, eq=False)
class Square:
  """A rotated square in an image; the first pixel's center is at (0, 0).

  Attributes:
    center: (x, y) in pixels of the image.
    side: in pixels of the image.
    angle: from the image's x axis to the square's, in radians, clockwise.
  """

  center: Float[np.ndarray, "2"]
  side: float
  angle: float = 0.0

  @property
  def axes(self) -> Float[np.ndarray, "2 2"]:
    """The sides as vectors: the first row is the top one."""
    cosine, sine = np.cos(self.angle), np.sin(self.angle)
    return self.side * np.array([[cosine, sine], [-sine, cosine]])

  def to_image(
    self, fractions: Float[np.ndarray, "*n 2"]
  ) -> Float[np.ndarray, "*n 2"]:
    """Maps fractions of the square's sides to pixels of the image."""
    return self.center + (fractions - 0.5) @ self.axes

  def resample(
    self, image: UInt8[np.ndarray, "h w 3"], size: int
  ) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """The pixels of the square; outside the image its edge is repeated.

    Args:
      image: RGB.
      size: height and width of the result.
    """
    corners = self.to_image(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    limit = np.array(image.shape[1::-1])
    start = np.floor(corners.min(axis=0)).astype(int) - 1
    start = np.clip(start, 0, limit - 1)
    end = np.ceil(corners.max(axis=0)).astype(int) + 2
    end = np.clip(end, start + 1, limit)
    part = image[start[1] : end[1], start[0] : end[0]]
    part = np.ascontiguousarray(part)  # which OpenCV requires
    # Reduced first, which filters, then rotated at nearly the same scale.
    reduced = np.rint((end - start) * min(1.0, size / self.side))
    reduced = np.maximum(reduced, 1).astype(int)
    scale = reduced / (end - start)
    part = cv2.resize(part, reduced.tolist(), interpolation=cv2.INTER_AREA)
    first = self.to_image(np.full(2, 0.5 / size))
    first = (first - start + 0.5) * scale - 0.5
    right, down = self.axes * scale / size
    return cv2.warpAffine(
      part,
      np.stack([right, down, first], axis=1),
      (size, size),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )

"""Resampled crops of an image, and the map between their coordinates."""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# A box of pixels: left, top, right, bottom, all included.
Box = tuple[int, int, int, int]
# As a box, but right and bottom are excluded.
Region = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
  """A region of an image at another scale.

  place_in_image = (place_in_crop + 0.5) / scale - 0.5 + origin

  Attributes:
    pixels: the resampled region, RGB.
    origin: the image coordinates (x, y) of its top left corner.
    scale: pixels of the crop per pixel of the image, horizontal and vertical.
  """

  pixels: UInt8[np.ndarray, "h w 3"]
  origin: Float[np.ndarray, " 2"]
  scale: Float[np.ndarray, " 2"]

  def to_image(
    self, points: Float[np.ndarray, "n 2"]
  ) -> Float[np.ndarray, "n 2"]:
    """Maps points from the crop's pixels to the image's."""
    return (points + 0.5) / self.scale - 0.5 + self.origin

  def to_crop(
    self, points: Float[np.ndarray, "n 2"]
  ) -> Float[np.ndarray, "n 2"]:
    """Maps points from the image's pixels to the crop's."""
    return (points - self.origin + 0.5) * self.scale - 0.5


def crop(
  image: UInt8[np.ndarray, "h w 3"], region: Region, scale: float
) -> Crop:
  """Crops and resamples a region; outside the image its edge is repeated."""
  size = np.array(image.shape[1::-1])
  start, end = np.array(region[:2]), np.array(region[2:])
  inside_start = np.clip(start, 0, size - 1)
  inside_end = np.clip(end, inside_start + 1, size)
  inside = inside_end - inside_start
  resampled = np.maximum(1, np.rint(inside * scale)).astype(int)
  before = np.rint(np.maximum(0, inside_start - start) * scale).astype(int)
  after = np.rint(np.maximum(0, end - inside_end) * scale).astype(int)

  part = image[inside_start[1] : inside_end[1], inside_start[0] : inside_end[0]]
  part = Image.fromarray(np.ascontiguousarray(part)).resize(
    tuple(resampled.tolist()), Image.Resampling.BICUBIC, reducing_gap=1.5
  )
  pixels = np.pad(
    np.asarray(part),
    ((before[1], after[1]), (before[0], after[0]), (0, 0)),
    mode="edge",
  )
  exact_scale = resampled / inside
  return Crop(pixels, inside_start - before / exact_scale, exact_scale)


def box_side(box: Box) -> int:
  """The longer side of a box in pixels."""
  left, top, right, bottom = box
  return max(right - left, bottom - top) + 1


def around(box: Box, margin: float) -> Region:
  """The region of a box and a margin, a fraction of the box's side."""
  left, top, right, bottom = box
  margin = round(margin * box_side(box))
  return left - margin, top - margin, right + 1 + margin, bottom + 1 + margin

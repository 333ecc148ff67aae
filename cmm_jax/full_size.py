"""Smiles on a photo's own pixels.

The translator works on an aligned face of 64 or 128 pixels. Its flow, mask and
new pixels are enlarged here and applied to the photo itself, so that skin, hair
and background keep their own resolution, and what does not move keeps its bits.
"""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.preprocess import align

# Beyond the aligned frame the motion at its border fades out over this share of
# the frame, so that no edge shows.
_FADE = 0.2

# Around the face in a preview, as a share of the aligned frame.
_PREVIEW_MARGIN = 0.35


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
  """A photo, and where its face lies.

  Attributes:
    image: RGB.
    to_frame: from the photo's pixels to those of the aligned frame.
    frame_size: height and width of the aligned frame.
  """

  image: UInt8[np.ndarray, "h w 3"]
  to_frame: align.Similarity
  frame_size: int

  def box(self, margin: float) -> tuple[int, int, int, int]:
    """The bounding box of the aligned frame in the photo.

    Args:
      margin: added on every side, as a share of the frame.

    Returns:
      Left, top, right and bottom in pixels, the last two excluded. The box lies
      within the photo.
    """
    side = self.frame_size
    low, high = -0.5 - margin * side, side - 0.5 + margin * side
    corners = np.array([[low, low], [low, high], [high, low], [high, high]])
    corners = self.to_frame.inverse_transform(corners)
    height, width, _ = self.image.shape
    left, top = np.clip(np.floor(corners.min(0)), 0, [width, height])
    right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height])
    return int(left), int(top), int(right), int(bottom)

  def preview_box(self) -> tuple[int, int, int, int]:
    """The part of the photo that a preview shows, as `box` returns it."""
    return self.box(_PREVIEW_MARGIN)

  def preview(self, longest: int) -> "Photo":
    """The part in `preview_box`, reduced to `longest` pixels at most.

    What `render` makes of it is a preview, at a fraction of the photo's cost.
    """
    left, top, right, bottom = self.preview_box()
    part = self.image[top:bottom, left:right]
    matrix, shift = self.to_frame.matrix, self.to_frame.shift
    to_frame = align.Similarity(matrix, matrix @ [left, top] + shift)
    whole = Photo(part, to_frame, self.frame_size)
    return whole.resized(limit_size(part, longest))

  def resized(self, image: UInt8[np.ndarray, "h2 w2 3"]) -> "Photo":
    """The same photo with another number of pixels."""
    (height, width, _), (new_height, new_width, _) = (
      self.image.shape,
      image.shape,
    )
    scale = np.array([width / new_width, height / new_height])
    offset = (scale - 1) / 2  # the centers of pixels are whole numbers
    matrix, shift = self.to_frame.matrix, self.to_frame.shift
    to_frame = align.Similarity(matrix * scale, matrix @ offset + shift)
    return Photo(image, to_frame, self.frame_size)


def limit_size(
  image: UInt8[np.ndarray, "h w 3"], longest: int | None
) -> UInt8[np.ndarray, "h2 w2 3"]:
  """Reduces an image so that its longest side has at most `longest` pixels."""
  height, width, _ = image.shape
  if longest is None or max(height, width) <= longest:
    return image
  scale = longest / max(height, width)
  size = max(1, round(width * scale)), max(1, round(height * scale))
  return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def render(
  photo: Photo, motion: Float[np.ndarray, "t s s 6"]
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
  """Moves the photo's pixels and blends in new ones, frame by frame.

  z = (1 - mask) * warp(z_0, flow) + mask * new_pixels, as the translator's
  `compose` does with the aligned face. One frame is in memory at a time.

  Args:
    photo: with the face that the motion was generated from.
    motion: x and y of the flow in pixels of the aligned frame, the mask in
      [0, 1], and the new pixels in [-1, 1].

  Yields:
    Frames of the photo's size. Where flow and mask are zero, the pixels are the
    photo's.
  """
  left, top, right, bottom = photo.box(_FADE)
  width, height = right - left, bottom - top
  matrix, shift = photo.to_frame.matrix, photo.to_frame.shift
  # From a pixel of the box to the aligned frame.
  to_frame = np.column_stack([matrix, matrix @ [left, top] + shift])
  x, y = np.meshgrid(
    np.arange(left, right, dtype=np.float32),
    np.arange(top, bottom, dtype=np.float32),
  )
  fade = _fade(photo, x, y)[..., None]
  to_photo = np.linalg.inv(matrix).astype(np.float32)

  def enlarge(field):
    return cv2.warpAffine(
      np.ascontiguousarray(field),
      to_frame,
      (width, height),
      flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )

  for fields in motion:
    frame = photo.image.copy()
    fields = fields.astype(np.float32)
    if width > 0 and height > 0 and fields[..., :3].any():
      offset = (fade * enlarge(fields[..., :2])) @ to_photo.T
      moved = cv2.remap(
        photo.image,
        x + offset[..., 0],
        y + offset[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
      )
      mask = fade * np.clip(enlarge(fields[..., 2]), 0, 1)[..., None]
      new = 127.5 * (np.clip(enlarge(fields[..., 3:]), -1, 1) + 1)
      blended = moved + mask * (new - moved)
      frame[top:bottom, left:right] = np.rint(blended)
    yield frame


def _fade(photo, x, y):
  """1 within the aligned frame, smoothly 0 at `_FADE` from it."""
  side = photo.frame_size
  points = photo.to_frame.transform(np.stack([x, y], -1).reshape(-1, 2))
  outside = np.abs(points - (side - 1) / 2) - side / 2
  outside = np.linalg.norm(np.maximum(outside, 0), axis=-1)
  fade = np.clip(1 - outside / (_FADE * side), 0, 1).reshape(x.shape)
  return (fade * fade * (3 - 2 * fade)).astype(np.float32)

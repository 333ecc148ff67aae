"""Checks what the page has sent, which can be anything."""

import base64
import binascii
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cmm_jax.preprocess import photo as photos
from cmm_jax.studio.gate import MAX_PHOTO_BYTES
from cmm_jax.studio.smile_videos import Wishes

MAX_PIXELS = 50_000_000  # of a photo; phones take up to 50 million
SIZES = (640, 1280, 1920, 3840)  # longest sides of videos
MAX_FRAMES = 96  # from the neutral face to the smile


def as_wishes(
  known: list[str],
  labels: Any,
  strength: Any,
  frames: Any,
  frames_per_second: Any,
  loop: Any,
  size: Any,
) -> Wishes:
  """Checks the choices of a visitor.

  Raises:
    ValueError: no label was chosen, or a value is out of range.
  """
  labels = labels if isinstance(labels, list) else []
  chosen = tuple(label for label in known if label in labels)
  if not chosen:
    raise ValueError("Choose at least one kind of smile.")
  limits = ((strength, 1.5), (frames, MAX_FRAMES), (frames_per_second, 60))
  for value, most in limits:
    if not isinstance(value, int | float) or not 0 <= value <= most:
      raise ValueError(
        f"{value!r} is out of range; at most {most} is possible."
      )
  return Wishes(
    chosen,
    float(strength),
    max(2, int(frames)),
    max(1.0, float(frames_per_second)),
    bool(loop),
    size if size in SIZES else 1280,
  )


def decode_photo(sent: Any) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
  """The image that was sent, and its name.

  Raises:
    ValueError: it is none, or too large.
  """
  sent = sent if isinstance(sent, dict) else {}
  name, data = str(sent.get("name", "photo"))[:80], sent.get("data")
  try:
    content = base64.b64decode(data or "", validate=True)
  except (binascii.Error, TypeError, ValueError):
    content = b""
  if len(content) > MAX_PHOTO_BYTES:
    raise ValueError(
      f"“{name}” is larger than {MAX_PHOTO_BYTES // 2**20} MB; make it smaller."
    )
  return photos.decode(content, name, MAX_PIXELS), name

"""What kind of smile a sequence shows, measured on its last frame (ours).

The paper tells the smiles of one face apart by mouth and eyes (Figure 6): the
mouth opens or stays closed, the eyes stay open, narrow or shut. The names here
say the same, from the landmarks.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float16, UInt8

from cmm_jax.preprocess import neutral

# How smiles of one kind are told apart, by their number.
_ENDINGS = {2: ("wider", "softer"), 3: ("widest", "medium", "softest")}

# Limits of the changes. MediaPipe's landmarks of rendered and real faces at
# rest vary by 0.01 in the gap, and by 6 % in the eyes.
_PARTED = 0.03
_OPEN = 0.07
_NARROWED = 0.85
_SHUT = 0.45

# Teeth between lips that MediaPipe sees closed were painted 0.12 to 0.32
# brighter than the lips that moved there, closed lips at most 0.09.
_TEETH = 0.1


@dataclasses.dataclass(frozen=True)
class SmileKind:
  """How a smile differs from the neutral face.

  Attributes:
    mouth_gap: by how much the lips have parted, as a fraction of the distance
      from the eyes to the mouth.
    smile: by how much the mouth has widened and its corners have risen, in the
      measure of `neutral.Measures.smile`.
    eyes: opening of the eyes as a fraction of the neutral face's.
    teeth: `painted_light` of the mouth, 0 if it is not known.
  """

  mouth_gap: float
  smile: float
  eyes: float
  teeth: float = 0.0

  @property
  def shows_teeth(self) -> bool:
    """Whether something bright was painted between the lips."""
    return self.teeth >= _TEETH

  @property
  def mouth(self) -> str:
    """The lips in words."""
    if self.mouth_gap >= _OPEN:
      return "Open mouth"
    parted = self.mouth_gap >= _PARTED or self.shows_teeth
    return "Parted lips" if parted else "Closed lips"

  @property
  def name(self) -> str:
    """The kind in words, such as "Closed lips, narrowed eyes"."""
    if self.eyes < _SHUT:
      return f"{self.mouth}, shut eyes"
    if self.eyes < _NARROWED:
      return f"{self.mouth}, narrowed eyes"
    return self.mouth


def measure(
  first: Float[np.ndarray, "68 2"],
  last: Float[np.ndarray, "68 2"],
  teeth: float = 0.0,
) -> SmileKind:
  """Compares the last frame of a smile with the neutral face.

  Args:
    first: the landmarks of the neutral face, in pixels of any image.
    last: those of the last frame.
    teeth: its `painted_light`.
  """
  before, after = neutral.measure(first), neutral.measure(last)
  # Lips that touch give a gap of either sign.
  gap = max(0.0, after.mouth_gap) - max(0.0, before.mouth_gap)
  return SmileKind(
    mouth_gap=gap,
    smile=after.smile - before.smile,
    eyes=after.eye_opening / max(before.eye_opening, 1e-3),
    teeth=teeth,
  )


def painted_light(
  points: Float[np.ndarray, "68 2"],
  frame: UInt8[np.ndarray, "h w 3"],
  motion: Float16[np.ndarray, "h w 6"],
) -> float:
  """How much brighter than what moved there a mouth is painted at most.

  A frame is (1 - mask) * warped + mask * new_pixels, so that its mask and new
  pixels tell what was painted: mask * (new_pixels - warped).

  Args:
    points: landmarks of the neutral face in pixels of the frame.
    frame: an aligned frame of a smile, RGB.
    motion: that the frame was made with, as `full_size.render` takes it.

  Returns:
    The mean over the channels at the brightest pixel; 1 is from black to white.
  """
  left, top = points[48:60].min(axis=0)
  right, bottom = points[48:60].max(axis=0)
  margin = (right - left) / 5  # a smile is wider, and its lips thicker
  rows = slice(max(0, round(top - margin)), round(bottom + margin))
  columns = slice(max(0, round(left - margin)), round(right + margin))
  values = motion[rows, columns].astype(np.float32)
  mask, new_pixels = values[..., 2:3], values[..., 3:]
  shown = frame[rows, columns] / 127.5 - 1
  painted = mask * (new_pixels - shown) / np.maximum(1 - mask, 0.05)
  return float(painted.mean(axis=-1).max() / 2)


def unique_names(kinds: Sequence[SmileKind | None]) -> list[str]:
  """A name for each smile of one face, no two alike.

  Smiles of one kind are told apart by how wide they are: "wider" and "softer",
  or, if there are more than three, numbers from the widest on. None, of a smile
  in which no face was found, is called "Unmeasured".

  Args:
    kinds: of the sequences of one face.
  """
  names = ["Unmeasured" if kind is None else kind.name for kind in kinds]
  unique = list(names)
  for name in set(names):
    same = [i for i, other in enumerate(names) if other == name]
    if len(same) == 1:
      continue
    if name != "Unmeasured":
      same.sort(key=lambda i: kinds[i].smile, reverse=True)
    endings = _ENDINGS.get(len(same), range(1, len(same) + 1))
    for i, ending in zip(same, endings, strict=True):
      unique[i] = f"{name}, {ending}"
  return unique

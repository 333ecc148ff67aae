"""From action units to the ARKit blendshapes that deform the mesh.

MakeHuman's community sculpted the blendshapes (CC0). Their weights are ours,
tuned by eye.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int

from cmm_jax.virtual_face import head

# What smiles move. Pairs are (left, right) from the person's view.
SMILE_BLENDSHAPES = (
  "mouthSmileLeft", "mouthSmileRight",
  "mouthDimpleLeft", "mouthDimpleRight",
  "mouthStretchLeft", "mouthStretchRight",
  "mouthUpperUpLeft", "mouthUpperUpRight",
  "mouthLowerDownLeft", "mouthLowerDownRight",
  "jawOpen",
  "cheekSquintLeft", "cheekSquintRight",
  "eyeSquintLeft", "eyeSquintRight",
  "eyeBlinkLeft", "eyeBlinkRight",
  "browInnerUp",
  "browOuterUpLeft", "browOuterUpRight",
  "browDownLeft", "browDownRight",
)  # fmt: skip
# Columns of the weights.
BLENDSHAPES = (*SMILE_BLENDSHAPES, "eyeWideLeft", "eyeWideRight")


@dataclasses.dataclass(frozen=True)
class Expression:
  """Facial movement, frame by frame. Intensities are 0 to 1."""

  au06: Float[np.ndarray, " t"]  # cheek raiser
  au12: Float[np.ndarray, " t"]  # lip corner puller
  opening: Float[np.ndarray, " t"]  # of the lips and the jaw (AU25 and AU26)
  closing: Float[np.ndarray, " t"]  # of the eyes (AU43), 1 is shut
  brows: Float[np.ndarray, " t"]  # -1 lowered to 1 raised
  jaw_drop: Float[np.ndarray, " t"]  # without the lips of a smile (AU26, AU27)
  wide_eyes: Float[np.ndarray, " t"]  # upper lid raiser (AU05)
  asymmetry: float  # of AU06 and AU12; positive: stronger on the left
  gaze: Float[np.ndarray, "t 2"]  # right and up, in radians


def blendshape_weights(expression: Expression) -> Float[np.ndarray, "t u"]:
  """The weight of each of `BLENDSHAPES` in each frame."""
  weights = {}

  def set_pair(name, amount, asymmetry=0.0):
    weights[f"{name}Left"] = amount * (1 + asymmetry)
    weights[f"{name}Right"] = amount * (1 - asymmetry)

  opening = expression.opening
  set_pair("mouthSmile", expression.au12, expression.asymmetry)
  set_pair("mouthDimple", 0.15 * expression.au12, expression.asymmetry)
  set_pair("mouthStretch", 0.25 * opening)
  set_pair("mouthUpperUp", 0.55 * opening)
  set_pair("mouthLowerDown", 0.40 * opening)
  weights["jawOpen"] = 0.26 * opening + 0.60 * expression.jaw_drop
  # A shut eye cannot squint.
  squint = expression.au06 * (1 - 0.75 * expression.closing)
  set_pair("cheekSquint", 1.0 * expression.au06, expression.asymmetry)
  set_pair("eyeSquint", 0.5 * squint, expression.asymmetry)
  set_pair("eyeBlink", expression.closing)
  raised = np.maximum(expression.brows, 0)
  weights["browInnerUp"] = raised
  set_pair("browOuterUp", raised)
  set_pair("browDown", np.maximum(-expression.brows, 0))
  set_pair("eyeWide", expression.wide_eyes * (1 - expression.closing))
  stacked = np.stack([weights[name] for name in BLENDSHAPES], axis=1)
  return stacked.astype(np.float32)


@functools.cache
def blendshape_offsets() -> tuple[
  Int[np.ndarray, " starts"],
  Int[np.ndarray, " n"],
  Float[np.ndarray, "n 3"],
]:
  """The blendshapes, concatenated.

  Returns:
    The row at which each blendshape starts and the last one ends, the vertices
    that are moved, and their offsets at weight 1, in decimeters.
  """
  targets = [head.load().targets[f"blendshape/{name}"] for name in BLENDSHAPES]
  starts = np.cumsum([0, *(len(vertices) for vertices, _ in targets)])
  return (
    starts.astype(np.int32),
    np.concatenate([vertices for vertices, _ in targets]),
    np.concatenate([offsets for _, offsets in targets]).astype(np.float32),
  )

"""From action units to the face units that move the mesh.

The face units are ARKit's, as MakeHuman's community sculpted them (CC0). How
strongly each follows an action unit is ours, set by eye.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from cmm_jax.virtual_face import head

# Columns of the weights. Pairs come left, right; left is the person's.
UNITS = (
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


@dataclasses.dataclass(frozen=True)
class Expression:
  """What a face does, frame by frame. Intensities are 0 to 1."""

  au06: Float[np.ndarray, " t"]  # cheek raiser
  au12: Float[np.ndarray, " t"]  # lip corner puller
  opening: Float[np.ndarray, " t"]  # of the lips and the jaw (AU25 and AU26)
  closing: Float[np.ndarray, " t"]  # of the eyes (AU43), 1 is shut
  brows: Float[np.ndarray, " t"]  # -1 lowered to 1 raised
  asymmetry: float  # of AU06 and AU12; above 0 the left side is stronger
  gaze: Float[np.ndarray, "t 2"]  # turn of the eyes, right and up, radians


def unit_weights(expression: Expression) -> Float[np.ndarray, "t u"]:
  """How far each of `UNITS` is moved in each frame."""
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
  weights["jawOpen"] = 0.26 * opening
  # A shut eye has no room left to squint.
  squint = expression.au06 * (1 - 0.75 * expression.closing)
  set_pair("cheekSquint", 1.0 * expression.au06, expression.asymmetry)
  set_pair("eyeSquint", 0.5 * squint, expression.asymmetry)
  set_pair("eyeBlink", expression.closing)
  raised = np.maximum(expression.brows, 0)
  weights["browInnerUp"] = raised
  set_pair("browOuterUp", raised)
  set_pair("browDown", np.maximum(-expression.brows, 0))
  return np.stack([weights[name] for name in UNITS], axis=1).astype(np.float32)


@functools.cache
def unit_moves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The units' moves one after the other: starts, vertices, moves."""
  targets = [head.load().targets[f"unit/{name}"] for name in UNITS]
  starts = np.cumsum([0, *(len(vertices) for vertices, _ in targets)])
  return (
    starts.astype(np.int32),
    np.concatenate([vertices for vertices, _ in targets]),
    np.concatenate([moves for _, moves in targets]).astype(np.float32),
  )

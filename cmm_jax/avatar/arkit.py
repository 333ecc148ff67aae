"""ARKit's 52 blendshapes: their names, and how each moves the 68 landmarks.

The names are those of `ARFaceAnchor.BlendShapeLocation`, in the order in which
Live Link Face writes them.
"""

import functools

import numpy as np
from jaxtyping import Float

from cmm_jax import landmarks
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import expression, head


def _eye(side):
  looks = ("LookDown", "LookIn", "LookOut", "LookUp")
  return [f"eye{part}{side}" for part in ("Blink", *looks, "Squint", "Wide")]


def _pairs(*names):
  return [f"{name}{side}" for name in names for side in ("Left", "Right")]


NAMES = (
  *_eye("Left"),
  *_eye("Right"),
  *("jawForward", "jawRight", "jawLeft", "jawOpen", "mouthClose"),
  *("mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft"),
  *_pairs("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch"),
  *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
  *_pairs("mouthPress", "mouthLowerDown", "mouthUpperUp", "browDown"),
  "browInnerUp",
  *_pairs("browOuterUp"),
  "cheekPuff",
  *_pairs("cheekSquint", "noseSneer"),
  "tongueOut",
)

# The blendshapes of smiles, which are fitted; the others stay at 0. Landmarks
# cannot tell all 52 apart, and some do not move landmarks at all.
SMILE_NAMES = expression.SMILE_BLENDSHAPES
SMILE_COLUMNS = np.array([NAMES.index(name) for name in SMILE_NAMES])
# Those that the renderer of virtual faces takes.
RENDERED_COLUMNS = np.array(
  [NAMES.index(name) for name in expression.BLENDSHAPES]
)


@functools.cache
def landmark_offsets() -> Float[np.ndarray, "22 68 3"]:
  """How the blendshapes of smiles move the landmarks of an aligned face.

  Returns:
    Offsets at weight 1: x to the right and y down in the image, z towards the
    camera, in units of the aligned frame's side.
  """
  mesh = head.load()
  offsets = []
  for name in SMILE_NAMES:
    moved, by = mesh.targets[f"blendshape/{name}"]
    every = np.zeros_like(mesh.vertices)
    every[moved] = by
    offsets.append(every[mesh.landmarks])
  return _scale_of_frame() * np.stack(offsets) * np.array([1.0, -1.0, 1.0])


@functools.cache
def pose_offsets() -> Float[np.ndarray, "5 68 2"]:
  """How small movements of the head move the landmarks of an aligned face.

  Returns:
    Two shifts, then roll, yaw and pitch per radian, in units of the frame's
    side. The rotations are around the center of the eyes.
  """
  points = head.load().vertices[head.load().landmarks]
  eyes, _ = landmarks.eyes_and_mouth(points)
  x, y, z = (_scale_of_frame() * (points - eyes) * np.array([1, -1, 1])).T
  one, zero = np.ones_like(x), np.zeros_like(x)
  moves = ((one, zero), (zero, one), (-y, x), (z, zero), (zero, -z))
  return np.stack([np.stack(move, axis=1) for move in moves])


def _scale_of_frame():
  """Sides of the aligned frame per decimeter of the head."""
  mesh = head.load()
  eyes, mouth = landmarks.eyes_and_mouth(mesh.vertices[mesh.landmarks])
  return align.EYES_TO_MOUTH / np.linalg.norm((mouth - eyes)[:2])

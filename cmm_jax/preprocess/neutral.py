"""Judges from its landmarks whether a face is neutral.

The limits (ours) are set between neutral and other faces. Of 50 rendered people
at rest, and of those that show what is looked for, the share with a finding, by
the true landmarks, MediaPipe's and dlib's:

                      at rest, %          showing it, %
                 true MediaPipe dlib    true MediaPipe dlib
  open mouth        0         0    6     100       100   86  lips parted, 14
  smile             0         0    4      86        76   66  last frame, 50
  turned head       0         0    0     100       100   57  by 25 degrees, 14
  closed eyes       0         0    0     100       100   14  shut, 14

Half of a smile is found in 14 % of the people. Among 49 photos and paintings,
from which the limits were chosen as well, there is no finding in the 16 neutral
ones; with dlib's and MediaPipe's landmarks all 24 open mouths are found, and 20
and 19 of 21 smiles.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from cmm_jax import landmarks

# Limits, and degrees of yaw per unit of the asymmetry of nose and jaw.
_MAX_MOUTH_GAP = 0.05
_MAX_SMILE = 0.75
_MAX_TURN = 18.0
_MAX_TILT = 20.0
_MIN_EYE_OPENING = 0.17
_DEGREES_PER_ASYMMETRY = 36.0

_INNER_LIPS = ((61, 67), (62, 66), (63, 65))  # upper and lower
_LIPS_CENTER = (51, 57)
_EYELIDS = (((37, 41), (38, 40)), ((43, 47), (44, 46)))
_NOSE_TIP = 30
_JAW_ENDS = (slice(0, 3), slice(14, 17))  # left and right in the image


@dataclasses.dataclass(frozen=True)
class Finding:
  """One way in which a face is not neutral.

  Attributes:
    name: "open mouth", "smile", "turned head", "tilted head" or "closed eyes".
    value: of the measure; see `measure`.
    limit: up to which a face counts as neutral, for closed eyes from which on.
    message: what was found, what will happen and the way out.
  """

  name: str
  value: float
  limit: float
  message: str


@dataclasses.dataclass(frozen=True)
class Measures:
  """What `find` judges by. None depends on the size or place of the face.

  Attributes:
    mouth_gap: between the inner lips, as a fraction of the distance from the
      centers of the eyes to that of the mouth.
    smile: the width of the mouth as a fraction of the interocular distance,
      plus the height of its corners above the center of the lips as a fraction
      of its width.
    turn: degrees by which the head is turned to the right of the image.
    tilt: degrees by which the line of the eyes falls to the right.
    eye_opening: height of the eyes as a fraction of their width.
  """

  mouth_gap: float
  smile: float
  turn: float
  tilt: float
  eye_opening: float


def measure(points: Float[np.ndarray, "68 2"]) -> Measures:
  """Measures a face.

  Args:
    points: the landmarks in pixels of any image; the tilt is relative to it.
  """
  points = np.asarray(points, np.float64)
  eyes, mouth = landmarks.eyes_and_mouth(points)
  unit = np.linalg.norm(mouth - eyes)
  down = (mouth - eyes) / unit
  x = points @ [down[1], -down[0]]
  y = points @ down

  gap = np.mean([y[lower] - y[upper] for upper, lower in _INNER_LIPS]) / unit
  first, last = landmarks.MOUTH_CORNERS
  width = x[last] - x[first]
  center = np.mean(y[list(_LIPS_CENTER)])
  rise = (center - (y[first] + y[last]) / 2) / width
  right_eye, left_eye = landmarks.OUTER_EYE_CORNERS
  smile = width / (x[left_eye] - x[right_eye]) + rise

  before, after = (abs(x[end].mean() - x[_NOSE_TIP]) for end in _JAW_ENDS)
  turn = _DEGREES_PER_ASYMMETRY * (before - after) / (before + after)
  across = points[landmarks.LEFT_EYE].mean(axis=0) - points[
    landmarks.RIGHT_EYE
  ].mean(axis=0)
  openings = [
    np.mean([y[lower] - y[upper] for upper, lower in lids])
    / (x[eye[3]] - x[eye[0]])
    for lids, eye in zip(
      _EYELIDS, (landmarks.RIGHT_EYE, landmarks.LEFT_EYE), strict=True
    )
  ]
  return Measures(
    mouth_gap=float(gap),
    smile=float(smile),
    turn=float(turn),
    tilt=float(np.degrees(np.arctan2(across[1], across[0]))),
    eye_opening=float(np.mean(openings)),
  )


def find(
  points: Float[np.ndarray, "68 2"], source: str = "the photo"
) -> list[Finding]:
  """Finds in which ways a face is not neutral.

  Args:
    points: as for `measure`.
    source: what the messages call the photo.

  Returns:
    The findings, none for a neutral face.
  """
  face = measure(points)
  findings = []

  def add(name, value, limit, message):
    findings.append(Finding(name, value, limit, f"{source}: {message}"))

  if face.mouth_gap > _MAX_MOUTH_GAP:
    add(
      "open mouth",
      face.mouth_gap,
      _MAX_MOUTH_GAP,
      f"the mouth is open (gap {face.mouth_gap:.2f} of the distance from eyes "
      f"to mouth, at most {_MAX_MOUTH_GAP} in neutral faces); the smiles start "
      "from it. Use a photo with closed lips for better ones.",
    )
  if face.smile > _MAX_SMILE:
    add(
      "smile",
      face.smile,
      _MAX_SMILE,
      f"the face smiles already (width and corners of the mouth "
      f"{face.smile:.2f}, at most {_MAX_SMILE} in neutral faces); the smiles "
      "start from it. Use a photo of a relaxed face for better ones.",
    )
  if abs(face.turn) > _MAX_TURN:
    add(
      "turned head",
      face.turn,
      _MAX_TURN,
      f"the head is turned by about {abs(face.turn):.0f} degrees (at most "
      f"{_MAX_TURN:.0f}); the far side of the face may be distorted. Use a "
      "frontal photo for better smiles.",
    )
  if abs(face.tilt) > _MAX_TILT:
    add(
      "tilted head",
      face.tilt,
      _MAX_TILT,
      f"the head is tilted by {abs(face.tilt):.0f} degrees (at most "
      f"{_MAX_TILT:.0f}); its landmarks may be inexact. Rotate the photo until "
      "the eyes are level.",
    )
  if face.eye_opening < _MIN_EYE_OPENING:
    add(
      "closed eyes",
      face.eye_opening,
      _MIN_EYE_OPENING,
      f"the eyes are closed (opening {face.eye_opening:.2f} of their width, at "
      f"least {_MIN_EYE_OPENING} in open eyes); they stay closed. Use a photo "
      "with open eyes.",
    )
  return findings

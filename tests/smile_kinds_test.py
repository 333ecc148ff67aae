"""What kind of smile a sequence shows."""

import numpy as np
import pytest

from cmm_jax import smile_kinds
from cmm_jax.smile_kinds import SmileKind


def face(gap=0.0, eyes=6.0, width=40.0):
  """A face with eyes 30 pixels wide, and its mouth 60 pixels below them."""
  points = np.zeros((68, 2))
  points[:17, 0] = np.linspace(-70, 70, 17)  # the jaw
  for first, left in ((36, -45), (42, 15)):
    x = left + np.array([0, 10, 20, 30, 20, 10])
    y = np.array([0, -1, -1, 0, 1, 1]) * eyes / 2
    points[first : first + 6] = np.stack([x, y], -1)
  points[48:68, 1] = 60
  points[[48, 54], 0] = -width / 2, width / 2
  points[[61, 62, 63], 1] -= 60 * gap / 2
  points[[65, 66, 67], 1] += 60 * gap / 2
  return points


@pytest.mark.parametrize(
  ("last", "name"),
  [
    ({}, "Closed lips"),
    ({"gap": 0.05}, "Parted lips"),
    ({"gap": 0.1}, "Open mouth"),
    ({"eyes": 4.5}, "Closed lips, narrowed eyes"),
    ({"gap": 0.2, "eyes": 2.0}, "Open mouth, shut eyes"),
  ],
)
def test_a_smile_is_named_by_what_mouth_and_eyes_do(last, name):
  assert smile_kinds.measure(face(), face(**last)).name == name


def test_lips_between_which_teeth_show_are_parted():
  points = face() * 0.4 + [32, 20]
  frame = np.full((64, 64, 3), 90, np.uint8)
  motion = np.zeros((64, 64, 6), np.float16)
  # Below the nose, half a lip and half white: (1 - 0.5) * lip + 0.5 * white.
  lip, white = 90 / 127.5 - 1, 1.0
  motion[44, 30:34, 2] = 0.5
  motion[44, 30:34, 3:] = white
  frame[44, 30:34] = round(127.5 * (0.5 * (lip + white) + 1))

  light = smile_kinds.painted_light(points, frame, motion)

  # Half of the way from 90 to 255, of 255.
  assert light == pytest.approx(0.5 * (255 - 90) / 255, abs=0.01)
  assert smile_kinds.measure(face(), face(), light).name == "Parted lips"
  motion[44, 30:34, 2] = 0.1
  frame[44, 30:34] = round(127.5 * (0.9 * lip + 0.1 * white + 1))
  light = smile_kinds.painted_light(points, frame, motion)
  assert light == pytest.approx(0.1 * (255 - 90) / 255, abs=0.01)
  assert smile_kinds.measure(face(), face(), light).name == "Closed lips"


def test_the_measures_are_changes_from_the_neutral_face():
  kind = smile_kinds.measure(face(gap=0.02), face(gap=0.12, eyes=3.0, width=58))

  # The outer corners of the eyes are 90 pixels apart: 18 / 90 wider.
  assert kind.mouth_gap == pytest.approx(0.1)
  assert kind.eyes == pytest.approx(0.5)
  assert kind.smile == pytest.approx(0.2)


def test_smiles_of_one_kind_are_told_apart_by_their_width():
  closed = [SmileKind(0.0, smile, 1.0) for smile in (0.1, 0.3, 0.2, 0.4)]
  opened = SmileKind(0.1, 0.2, 1.0)

  assert smile_kinds.unique_names([*closed[:2], opened]) == [
    "Closed lips, softer",
    "Closed lips, wider",
    "Open mouth",
  ]
  assert smile_kinds.unique_names([*closed[:3], None]) == [
    "Closed lips, softest",
    "Closed lips, widest",
    "Closed lips, medium",
    "Unmeasured",
  ]
  assert smile_kinds.unique_names(closed) == [
    f"Closed lips, {number}" for number in (4, 2, 3, 1)
  ]

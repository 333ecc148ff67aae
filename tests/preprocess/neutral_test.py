"""Whether a face is neutral, from its landmarks."""

import dataclasses

import numpy as np
import pytest
from skimage import data

from cmm_jax import landmarks
from cmm_jax.preprocess import faces, mediapipe_faces, neutral
from cmm_jax.virtual_face import appearance, expression, head, scene

PEOPLE = range(5)


def rendered(identity, yaw=0, roll=0, **weights):
  """The true landmarks of a rendered person with some blendshapes."""
  rng = np.random.default_rng([3, identity])
  person = appearance.make_person(head.sample_shape(rng), rng)
  surroundings = scene.sample_scene(rng, 1)
  turn = np.radians([yaw, 0, roll])
  all_weights = np.zeros(len(expression.BLENDSHAPES))
  for name, weight in weights.items():
    for full_name in (name, f"{name}Left", f"{name}Right"):
      if full_name in expression.BLENDSHAPES:
        all_weights[expression.BLENDSHAPES.index(full_name)] = weight
  _, points = scene.render_image(
    person,
    all_weights,
    np.zeros(2),
    dataclasses.replace(surroundings, pose=surroundings.pose + turn),
    0,
    16,  # pixels: the image is not used
  )
  return points


def found_in(points):
  return [finding.name for finding in neutral.find(points)]


def schematic(**moved):
  """A symmetric face, 8 wide and 8 from the eyes to the mouth, with changes.

  Args:
    **moved: "p61" and so on to the point's new coordinates.
  """
  points = np.zeros((68, 2))
  points[landmarks.JAW] = [(x, 6) for x in np.linspace(-8, 8, 17)]
  points[landmarks.RIGHT_EYE] = [
    *((-4, 0), (-3, -0.5), (-2, -0.5), (-1, 0), (-2, 0.5), (-3, 0.5)),
  ]
  points[landmarks.LEFT_EYE] = points[landmarks.RIGHT_EYE] + [5, 0]
  points[48], points[54] = (-2, 8), (2, 8)
  points[51], points[57] = (0, 7), (0, 9)
  for upper, lower, x in ((61, 67, -1), (62, 66, 0), (63, 65, 1)):
    points[upper] = points[lower] = (x, 8)
  for name, place in moved.items():
    points[int(name[1:])] = place
  return points


def test_measures_of_a_schematic_face():
  # The lips are 0.8 apart at three places, the distance to the eyes is 8. The
  # mouth is 4 wide, the eyes 8, and the corners are 1 above the center of the
  # lips, which lies at (7 + 11) / 2.
  face = neutral.measure(
    schematic(p65=(1, 8.8), p66=(0, 8.8), p67=(-1, 8.8), p57=(0, 11))
  )

  assert face.mouth_gap == pytest.approx(0.1)
  assert face.smile == pytest.approx(4 / 8 + 1 / 4)
  assert face.turn == face.tilt == 0
  assert face.eye_opening == pytest.approx(1 / 3)


def test_the_turn_grows_with_the_asymmetry_of_nose_and_jaw():
  # The ends of the jaw are at -7 and 7, the tip of the nose at 3.5:
  # (10.5 - 3.5) / 14 of 36 degrees.
  face = neutral.measure(schematic(p30=(3.5, 4)))

  assert face.turn == pytest.approx(18)


@pytest.mark.parametrize("identity", PEOPLE)
def test_a_person_at_rest_is_neutral(identity):
  assert found_in(rendered(identity)) == []


@pytest.mark.parametrize("identity", PEOPLE)
@pytest.mark.parametrize(
  ("name", "changes"),
  [
    ("smile", {"mouthSmile": 1}),
    ("open mouth", {"jawOpen": 0.2, "mouthLowerDown": 0.3}),
    ("turned head", {"yaw": 27}),
    ("turned head", {"yaw": -27}),
    ("tilted head", {"roll": 32}),
    ("closed eyes", {"eyeBlink": 1}),
  ],
)
def test_what_is_not_neutral_is_found_and_nothing_else(identity, name, changes):
  assert found_in(rendered(identity, **changes)) == [name]


def test_several_findings_are_reported_together():
  points = rendered(0, yaw=27, jawOpen=0.25, mouthSmile=1, eyeBlink=1)

  assert found_in(points) == [
    *("open mouth", "smile", "turned head", "closed eyes"),
  ]


def test_neither_size_nor_place_matters():
  points = rendered(1, yaw=10, jawOpen=0.1)

  one = neutral.measure(points)
  other = neutral.measure(40 * points - 1000)

  for name, value in dataclasses.asdict(one).items():
    assert getattr(other, name) == pytest.approx(value, abs=1e-6), name


def test_only_the_tilt_depends_on_the_rotation_of_the_photo():
  points = rendered(2, jawOpen=0.1)
  angle = np.radians(15)
  rotation = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )

  one = dataclasses.asdict(neutral.measure(points))
  other = dataclasses.asdict(neutral.measure(points @ rotation))

  assert other.pop("tilt") == pytest.approx(one.pop("tilt") + 15)
  assert other == pytest.approx(one, abs=1e-6)


def test_in_the_mirror_a_head_turns_and_tilts_the_other_way():
  points = rendered(3, yaw=20, roll=10)

  one = neutral.measure(points)
  other = neutral.measure(landmarks.mirror(points, 16))

  assert abs(one.turn) > 10 and abs(one.tilt) > 5
  assert other.turn == pytest.approx(-one.turn)
  assert other.tilt == pytest.approx(-one.tilt)
  assert other.mouth_gap == pytest.approx(one.mouth_gap)
  assert other.smile == pytest.approx(one.smile)


def test_a_message_says_what_was_found_what_will_happen_and_the_way_out():
  points = schematic(p65=(1, 8.96), p66=(0, 8.96), p67=(-1, 8.96))

  (finding,) = neutral.find(points, "photo.jpg")

  assert finding.message == (
    "photo.jpg: the mouth is open (gap 0.12 of the distance from eyes to "
    "mouth, at most 0.05 in neutral faces); the smiles start from it. Use a "
    "photo with closed lips for better ones."
  )
  assert finding.value == pytest.approx(0.12)
  assert finding.value > finding.limit


@pytest.mark.parametrize("module", [faces, mediapipe_faces])
def test_a_smiling_portrait_is_not_neutral(module):
  (face,) = module.FaceDetector().detect(data.astronaut())

  assert found_in(face.points) == ["open mouth", "smile"]

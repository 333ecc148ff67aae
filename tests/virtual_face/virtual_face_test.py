"""The rendered head: its symmetry, its smiles, the same bytes every time."""

import dataclasses

import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import (
  appearance,
  clips,
  expression,
  head,
  scene,
  smile,
)

SIZE = 64


def person(seed=0):
  rng = np.random.default_rng(seed)
  return appearance.make_person(head.sample_shape(rng), rng)


def still(**amounts):
  """An expression of one frame; everything not named is at rest."""
  names = ("au06", "au12", "opening", "closing", "brows")
  arrays = {name: np.full(1, float(amounts.get(name, 0))) for name in names}
  return expression.Expression(**arrays, asymmetry=0.0, gaze=np.zeros((1, 2)))


def front_scene():
  """From straight ahead, without noise."""
  sampled = scene.sample_scene(np.random.default_rng(0), 2)
  return dataclasses.replace(
    sampled, pose=np.zeros_like(sampled.pose), grain=0.0
  )


def draw(seed=0, size=SIZE, **amounts):
  frames, points = scene.draw_clip(
    person(seed), still(**amounts), front_scene(), size
  )
  return frames[0], points[0]


def opening_of(points, upper, lower):
  return np.linalg.norm(points[list(upper)] - points[list(lower)], axis=-1)


def test_each_landmark_has_its_mirror_image_on_the_mesh():
  mesh = head.load()
  np.testing.assert_array_equal(
    mesh.mirror[mesh.landmarks], mesh.landmarks[landmarks.MIRROR]
  )
  twins = mesh.vertices[mesh.mirror] * [-1, 1, 1]
  np.testing.assert_allclose(twins, mesh.vertices, atol=1e-4)


def test_a_smile_widens_and_lifts_the_mouth_of_every_head():
  mesh = head.load()
  smiling = expression.unit_weights(still(au12=1, au06=1))[0]
  for seed in range(5):
    rest = head.shape_vertices(head.sample_shape(np.random.default_rng(seed)))
    units = dict(zip(expression.UNITS, smiling, strict=True))
    moved = rest.copy()
    for name, weight in units.items():
      vertices, moves = mesh.targets[f"unit/{name}"]
      moved[vertices] += weight * moves
    right, left = mesh.landmarks[list(landmarks.MOUTH_CORNERS)]
    assert moved[left, 0] - moved[right, 0] > rest[left, 0] - rest[right, 0]
    assert moved[left, 1] > rest[left, 1] and moved[right, 1] > rest[right, 1]


def teeth_of(seed, **amounts):
  """A smile at 256 pixels: its frame, landmarks and the upper teeth's row."""
  frame, points = draw(seed, 256, au12=0.8, **amounts)
  upper, lower = points[62, 1], points[66, 1]
  return frame.astype(int), points, int(upper + 0.4 * (lower - upper))


@pytest.mark.parametrize("seed", range(4))
def test_an_open_mouth_shows_teeth_lighter_and_less_red_than_the_lips(seed):
  frame, points, row = teeth_of(seed, opening=1.0)
  first, last = points[[61, 63], 0].astype(int)
  between = frame[row, first:last]
  tooth = between[between.sum(axis=-1).argsort()][-len(between) // 4 :]
  tooth = tooth.mean(axis=0)
  outer, inner = points[[57, 66], 1]
  lip = frame[int((outer + inner) / 2), first:last].mean(axis=0)
  assert tooth.mean() > lip.mean() + 20
  assert tooth[2] / tooth[0] > lip[2] / lip[0] + 0.1  # ivory, not pink
  assert tooth[0] >= tooth[2]  # and not blue
  assert tooth.max() < 245  # nor pure white


def test_a_shut_mouth_shows_no_teeth():
  frame, points = draw(au12=0.8)
  between = frame[int(points[62:67:4, 1].mean()), int(points[62, 0])].astype(
    int
  )
  assert between[0] > 1.3 * between[2]


@pytest.mark.parametrize("seed", range(4))
def test_teeth_are_darker_towards_the_corners_of_the_mouth(seed):
  frame, points, teeth_row = teeth_of(seed, opening=1.0)
  gray = frame.mean(axis=-1)
  (left, row), (right, other) = points[[60, 64]].astype(int)
  middle = gray[teeth_row, left + 20 : right - 20].max()
  for x, y in ((left + 4, row), (right - 4, other)):
    assert gray[y - 2 : y + 3, x - 2 : x + 3].min() < 0.5 * middle


def test_single_teeth_stand_apart():
  frame, points, row = teeth_of(1, opening=1.0)
  first, last = points[[49, 53], 0].astype(int)
  line = frame[row - 2 : row + 2, first:last].mean(axis=(0, 2))
  dips = (line[1:-1] < line[:-2]) & (line[1:-1] <= line[2:])
  assert 5 <= dips.sum() <= 15


def test_teeth_differ_from_person_to_person_but_not_from_clip_to_clip():
  one, again, other = (person(seed).teeth[0] for seed in (0, 0, 1))
  np.testing.assert_array_equal(one, again)
  assert np.abs(one - other).mean() > 0.01


def test_closing_the_eyes_brings_the_lids_together():
  upper, lower = (37, 38, 43, 44), (41, 40, 47, 46)
  wide = opening_of(draw()[1], upper, lower).mean()
  shut = opening_of(draw(closing=1)[1], upper, lower).mean()
  assert shut < 0.35 * wide


def test_frames_are_aligned_as_real_faces_are():
  _, points = draw()
  eyes = points[list(landmarks.EYE_CORNERS)].mean(axis=0)
  mouth = points[list(landmarks.MOUTH_CORNERS)].mean(axis=0)
  middle = (SIZE - 1) / 2
  np.testing.assert_allclose(eyes, [middle, align.EYES_ROW * SIZE], atol=1e-3)
  assert mouth[0] == pytest.approx(middle, abs=1e-3)
  assert mouth[1] - eyes[1] == pytest.approx(
    align.EYES_TO_MOUTH * SIZE, abs=1e-3
  )


def test_a_picture_is_drawn_where_its_landmarks_are():
  # Half a picture, mirrored, is where the mirrored landmarks are: the drawn
  # pupils, the darkest places of the eyes, lie between the corners.
  frame, points = draw()
  grey = frame.mean(axis=-1)
  for eye in (landmarks.RIGHT_EYE, landmarks.LEFT_EYE):
    corners = points[list(eye)]
    middle = corners.mean(axis=0).round().astype(int)
    box = grey[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2]
    cheek = grey[middle[1] + 9, middle[0]]
    assert box.min() < 0.6 * cheek


@pytest.mark.parametrize("label", smile.LABELS)
def test_a_smile_starts_at_rest_and_ends_at_its_apex(label):
  for seed in range(20):
    drawn = smile.simulate(label, np.random.default_rng(seed))
    assert drawn.au12[:2].max() == 0
    assert drawn.closing[:2].max() < 0.05
    apex = drawn.au12[-8:]
    assert apex.min() > 0.7 * drawn.au12.max()
    units = smile.action_units(drawn)
    assert units.shape == (32, 2) and units.min() >= 0 and units.max() <= 5


def test_posed_smiles_start_faster_and_raise_the_cheeks_less():
  drawn = {
    label: [smile.simulate(label, np.random.default_rng(i)) for i in range(200)]
    for label in smile.LABELS
  }

  def mean(label, value):
    return np.mean([value(s) for s in drawn[label]])

  def frames_to_half(s):
    return np.argmax(s.au12 > 0.5 * s.au12[-8:].mean())

  def cheek_share(s):
    return s.au06[-8:].mean() / s.au12[-8:].mean()

  assert mean("posed", frames_to_half) + 1.5 < mean(
    "spontaneous", frames_to_half
  )
  assert mean("posed", cheek_share) + 0.3 < mean("spontaneous", cheek_share)


def test_an_unknown_smile_is_refused_by_name():
  with pytest.raises(ValueError, match="'forced'"):
    smile.simulate("forced", np.random.default_rng(0))


def test_one_face_smiles_in_different_ways():
  drawn = [
    smile.simulate("posed", np.random.default_rng(i)) for i in range(100)
  ]
  opened = np.mean([s.opening.max() > 0.2 for s in drawn])
  shut = np.mean([s.closing[-8:].max() > 0.5 for s in drawn])
  assert 0.35 < opened < 0.65
  assert 0.12 < shut < 0.40


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads():
  def all_clips(workers):
    counts = [{"posed": 1, "spontaneous": 1}] * 3
    return list(clips.draw_all(7, range(3), counts, 3, 32, workers))

  for first, second in zip(all_clips(1), all_clips(3), strict=True):
    assert first.name == second.name
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_identities_and_takes_differ_but_a_persons_face_stays():
  one, two = clips.draw_identity(0, 1, {"posed": 2}, 2, 32)
  (other,) = clips.draw_identity(0, 2, {"posed": 1}, 2, 32)
  assert np.any(one.frames != two.frames)
  gap = np.abs(one.landmarks[0] - two.landmarks[0]).mean()
  assert gap < np.abs(one.landmarks[0] - other.landmarks[0]).mean()


def test_takes_add_up_and_leave_no_identity_out():
  # UvA-NEMO's 643 posed smiles over 400 people: one or two each.
  counts = [clips.takes(i, 400, 643) for i in range(400)]
  assert sum(counts) == 643
  assert set(counts) == {1, 2}

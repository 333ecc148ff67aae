"""Sampled surprises: their course, their variety, and that no smile changes."""

import numpy as np

from cmm_jax.virtual_face import clips, smile, surprise
from tests.virtual_face import faces


def sampled(count):
  return [
    surprise.simulate(np.random.default_rng(i), 32, smile.FRAMES_PER_SECOND)
    for i in range(count)
  ]


def test_a_surprise_starts_at_rest_and_raises_brows_and_lids_to_the_end():
  for one in sampled(20):
    for rising in (one.brows, one.wide_eyes, one.jaw_drop):
      assert rising[:2].max() == 0
      assert rising[-8:].min() > 0.7 * rising.max() > 0
    assert not one.au06.any() and not one.au12.any()


def test_one_face_is_surprised_with_its_mouth_open_or_nearly_shut():
  drops = [one.jaw_drop.max() for one in sampled(100)]

  assert 0.25 < np.mean(np.array(drops) < 0.3) < 0.55
  assert np.mean(np.array(drops) > 0.4) > 0.4


def test_a_dropped_jaw_parts_the_lips_and_wide_eyes_part_the_lids():
  rest, moved = (
    faces.render(jaw_drop=amount, wide_eyes=amount)[1] for amount in (0, 1)
  )

  def gap(points, upper, lower):
    return (points[lower, 1] - points[upper, 1]).mean()

  lips, lids = ([62], [66]), ([37, 38, 43, 44], [41, 40, 47, 46])
  assert gap(moved, *lips) > gap(rest, *lips) + 4  # of 64 pixels
  assert gap(moved, *lids) > 1.15 * gap(rest, *lids)


def test_smiles_are_the_same_bytes_whether_or_not_there_are_surprises():
  (alone,) = clips.render_identity(0, 1, {"posed": 1}, 4, 32)
  _, beside = clips.render_identity(0, 1, {"surprise": 1, "posed": 1}, 4, 32)

  assert alone.name == beside.name
  np.testing.assert_array_equal(alone.frames, beside.frames)

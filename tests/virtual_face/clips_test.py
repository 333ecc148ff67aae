"""The clips of a dataset: reproducible, distinct, counted."""

import numpy as np

from cmm_jax.virtual_face import clips


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads():
  def render(num_threads):
    counts = [{"posed": 1, "spontaneous": 1}] * 3
    return list(clips.render_all(7, range(3), counts, 3, 32, num_threads))

  for first, second in zip(render(1), render(3), strict=True):
    assert first.name == second.name
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_clips_of_one_person_differ_less_than_two_people():
  one, two = clips.render_identity(0, 1, {"posed": 2}, 2, 32)
  (other,) = clips.render_identity(0, 2, {"posed": 1}, 2, 32)
  assert np.any(one.frames != two.frames)
  gap = np.abs(one.landmarks[0] - two.landmarks[0]).mean()
  assert gap < np.abs(one.landmarks[0] - other.landmarks[0]).mean()


def test_a_clip_at_twice_the_size_has_the_same_course_and_larger_landmarks():
  (small,) = clips.render_identity(0, 1, {"posed": 1}, 8, 32)
  (large,) = clips.render_identity(0, 1, {"posed": 1}, 8, 64)
  np.testing.assert_array_equal(small.action_units, large.action_units)
  np.testing.assert_allclose(large.landmarks, 2 * small.landmarks, atol=0.51)
  reduced = large.frames.reshape(8, 32, 2, 32, 2, 3).mean(axis=(2, 4))
  assert np.abs(reduced - small.frames).mean() < 8


def test_the_clips_of_all_identities_add_up_and_leave_no_one_out():
  # UvA-NEMO's 643 posed smiles by 400 people: one or two each.
  counts = [clips.clips_of(i, 400, 643) for i in range(400)]
  assert sum(counts) == 643
  assert set(counts) == {1, 2}

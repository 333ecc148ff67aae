"""The neutral-to-smile segment of hand-made curves."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.preprocess import segment

EXACT = segment.Thresholds(smoothing=0)
INTERVAL = 0.02


def ramp(num_frames, start, end, height, stop=None):
  """0 until `start`, then linear to `height` at `end`; back from `stop` on."""
  time = np.arange(num_frames)
  curve = height * np.clip((time - start) / (end - start), 0, 1)
  if stop is not None:
    curve *= np.clip(1 - (time - stop) / 10, 0, 1)
  return curve


def action_units(au06, au12):
  return np.stack([au06, au12], axis=1).astype(np.float32)


def segment_of(au06, au12, thresholds=EXACT):
  (one,) = segment.find_smiles(action_units(au06, au12), INTERVAL, thresholds)
  return one.start, one.end


def test_without_smoothing_curves_do_not_change():
  curves = action_units(ramp(100, 30, 51, 4.0), ramp(100, 20, 41, 3.0))

  np.testing.assert_array_equal(segment.smooth(curves, 0.02, 0), curves)


def test_a_segment_goes_from_the_last_neutral_frame_to_the_plateau():
  # Linear from frame 30 to 51: 10 % is reached after 32, 95 % before 50.
  both = ramp(100, 30, 51, 4.0)

  assert segment_of(both, both) == (32, 50)


def test_noise_and_smoothing_move_a_segment_by_a_few_frames():
  random = np.random.default_rng(0)
  both = action_units(*[ramp(100, 30, 51, 4.0)] * 2)
  noisy = np.clip(both + random.normal(0, 0.15, both.shape), 0, 5)

  (one,) = segment.find_smiles(noisy, INTERVAL)

  assert abs(one.start - 32) <= 4 and abs(one.end - 50) <= 4


def test_an_au06_that_rises_first_starts_the_segment():
  au12 = ramp(100, 30, 51, 4.0)

  assert segment_of(ramp(100, 20, 41, 3.0), au12)[0] == 22
  assert (
    segment_of(ramp(100, 40, 61, 3.0), au12)[0] == 32
  )  # a later one does not


def test_an_au06_that_does_not_rise_or_rose_long_before_does_not_matter():
  au12 = ramp(200, 130, 151, 4.0)

  assert segment_of(0 * au12, au12) == (132, 150)
  assert segment_of(np.full(200, 3.0), au12) == (132, 150)
  assert segment_of(ramp(200, 40, 61, 3.0), au12) == (132, 150)


def test_every_smile_of_a_video_is_a_segment_and_the_strongest_is_chosen():
  two = np.r_[ramp(100, 30, 51, 3.0, stop=70), ramp(100, 40, 51, 4.5, stop=80)]

  smiles = segment.find_smiles(action_units(two, two), INTERVAL, EXACT)

  assert [(one.start, one.end) for one in smiles] == [(32, 50), (141, 151)]
  assert segment.strongest(smiles) is smiles[1]


def test_integer_labels_are_segmented_too():
  labels = np.repeat([0, 1, 2, 3, 4, 2, 0], [20, 3, 3, 3, 30, 5, 20])

  (one,) = segment.find_smiles(action_units(labels, labels), 0.05)

  assert 18 <= one.start <= 20  # 20 is the first 1
  assert 28 <= one.end <= 31  # 29 is the first 4


@pytest.mark.parametrize(
  ("au06", "au12", "thresholds", "reason"),
  [
    (0.0, ramp(100, 30, 51, 0.8), {}, r"rises by 0\.8 at most.* needs 1"),
    (0.0, ramp(100, 0, 1, 4.0), {}, r"does not begin with a neutral face"),
    (
      0.5,
      ramp(100, 30, 51, 4.0),
      {"min_au06_rise": 1.0},
      r"AU06 by only 0\.0, it needs 1",
    ),
  ],
)
def test_a_video_without_a_smile_is_an_error_that_says_why(
  au06, au12, thresholds, reason
):
  if reason.startswith("does"):
    au12 = np.r_[
      np.full(80, 4.0), np.zeros(20)
    ]  # it ends with the neutral face
  thresholds = segment.Thresholds(smoothing=0, **thresholds)

  with pytest.raises(segment.NoSmileError, match=reason):
    segment.find_smiles(
      action_units(np.full(100, au06), au12), INTERVAL, thresholds
    )


def test_a_long_segment_is_sampled_evenly_and_a_short_one_padded():
  times = np.arange(100) / 50

  long = segment.sample_frames(times, 10, 72, num_frames=32)
  short = segment.sample_frames(times, 10, 20, num_frames=32)

  assert long.tolist() == list(range(10, 73, 2))
  assert short.tolist() == list(range(10, 42))


def test_the_last_frame_is_repeated_where_the_video_ends():
  chosen = segment.sample_frames(np.arange(30) / 50, 20, 28, num_frames=32)

  assert chosen.tolist() == list(range(20, 30)) + [29] * 22


def test_a_variable_frame_rate_is_sampled_evenly_in_time():
  # Every 40 ms, but one frame is shown for 400 ms.
  times = np.r_[np.arange(20) * 0.04, 1.16 + np.arange(20) * 0.04]

  chosen = segment.sample_frames(times, 18, 22, num_frames=16)

  # Frame 19 is shown from 0.76 s to 1.16 s and is the nearest one up to the
  # middle of that time; from there on it is frame 20.
  assert chosen.tolist() == [18, *[19] * 5, *[20] * 6, 21, 22, 23, 24]


@hypothesis.given(
  num_frames=st.integers(2, 40),
  length=st.integers(2, 300),
  places=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@hypothesis.settings(deadline=None)
def test_samples_begin_at_the_start_and_never_decrease(
  num_frames, length, places
):
  start, end = sorted(round(place * (length - 1)) for place in places)
  hypothesis.assume(start < end)
  times = np.arange(length) / 25

  chosen = segment.sample_frames(times, start, end, num_frames)

  assert len(chosen) == num_frames and chosen[0] == start
  assert np.all(np.diff(chosen) >= 0) and chosen[-1] < length
  if end - start + 1 >= num_frames:
    assert chosen[-1] == end


def neutral_face():
  random = np.random.default_rng(1)
  points = random.uniform(0, 100, (68, 2))
  points[36], points[45] = [20, 40], [80, 40]  # 60 pixels apart
  return points


def test_rigid_motion_of_the_head_is_no_movement():
  turn = np.linspace(0, 0.3, 50)
  size = np.linspace(1, 1.4, 50)
  matrices = size[:, None, None] * np.stack(
    [
      np.stack([np.cos(turn), -np.sin(turn)], -1),
      np.stack([np.sin(turn), np.cos(turn)], -1),
    ],
    axis=1,
  )
  shift = np.linspace(0, 30, 50)[:, None, None]
  points = neutral_face()[None] @ matrices.transpose(0, 2, 1) + shift

  assert segment.movement(points).max() < 1e-3


def test_a_movement_of_a_tenth_of_the_interocular_distance_is_five():
  points = np.tile(neutral_face(), (20, 1, 1))
  random = np.random.default_rng(2)
  moved = random.normal(size=(68, 2))
  moved -= moved.mean(axis=0)
  moved *= 3 / np.sqrt(np.mean(np.sum(moved**2, axis=1)))  # 3 of 60 pixels
  points[10:] += moved

  curve = segment.movement(points)

  assert curve[:10].max() < 1e-6
  # A twentieth is 2.5; the fitted similarity removes a small part of it.
  np.testing.assert_allclose(curve[10:, 1], 2.5, rtol=0.06)

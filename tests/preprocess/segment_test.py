"""Cutting the neutral-to-smile part out of curves drawn by hand."""

import hypothesis
import numpy as np
import pytest
from etils import epath
from hypothesis import strategies as st

from cmm_jax.preprocess import segment

EXACT = segment.Thresholds(smoothing=0)
INTERVAL = 0.02


def ramp(num_frames, start, end, height, stop=None):
  """0 until `start`, then a line to `height` at `end`; back from `stop` on."""
  time = np.arange(num_frames)
  curve = height * np.clip((time - start) / (end - start), 0, 1)
  if stop is not None:
    curve *= np.clip(1 - (time - stop) / 10, 0, 1)
  return curve


def units(au06, au12):
  return np.stack([au06, au12], axis=1).astype(np.float32)


def cut_of(au06, au12, thresholds=EXACT):
  (cut,) = segment.find(units(au06, au12), INTERVAL, thresholds)
  return cut.start, cut.end


def test_no_smoothing_changes_nothing():
  curves = units(ramp(100, 30, 51, 4.0), ramp(100, 20, 41, 3.0))

  np.testing.assert_array_equal(segment.smooth(curves, 0.02, 0), curves)


def test_a_cut_goes_from_the_last_neutral_frame_to_the_plateau():
  # A line from frame 30 to 51: a tenth is reached after 32, 95 %
  # before 50.
  both = ramp(100, 30, 51, 4.0)

  assert cut_of(both, both) == (32, 50)


def test_noise_and_smoothing_move_a_cut_by_few_frames():
  random = np.random.default_rng(0)
  both = units(*[ramp(100, 30, 51, 4.0)] * 2)
  noisy = np.clip(both + random.normal(0, 0.15, both.shape), 0, 5)

  (cut,) = segment.find(noisy, INTERVAL)

  assert abs(cut.start - 32) <= 4 and abs(cut.end - 50) <= 4


def test_cheeks_that_rise_first_start_the_cut():
  au12 = ramp(100, 30, 51, 4.0)

  assert cut_of(ramp(100, 20, 41, 3.0), au12)[0] == 22
  assert cut_of(ramp(100, 40, 61, 3.0), au12)[0] == 32  # later ones do not


def test_cheeks_that_do_not_move_or_moved_long_before_do_not_matter():
  au12 = ramp(200, 130, 151, 4.0)

  assert cut_of(0 * au12, au12) == (132, 150)
  assert cut_of(np.full(200, 3.0), au12) == (132, 150)
  assert cut_of(ramp(200, 40, 61, 3.0), au12) == (132, 150)


def test_each_smile_of_a_video_is_cut_and_the_strongest_chosen():
  two = np.r_[ramp(100, 30, 51, 3.0, stop=70), ramp(100, 40, 51, 4.5, stop=80)]

  cuts = segment.find(units(two, two), INTERVAL, EXACT)

  assert [(cut.start, cut.end) for cut in cuts] == [(32, 50), (141, 151)]
  assert segment.strongest(cuts) is cuts[1]


def test_whole_numbers_as_people_label_them_are_cut_too():
  labels = np.repeat([0, 1, 2, 3, 4, 2, 0], [20, 3, 3, 3, 30, 5, 20])

  (cut,) = segment.find(units(labels, labels), 0.05)

  assert 18 <= cut.start <= 20  # 20 is the first 1
  assert 28 <= cut.end <= 31  # 29 is the first 4


@pytest.mark.parametrize(
  ("au06", "au12", "thresholds", "reason"),
  [
    (0.0, ramp(100, 30, 51, 0.8), {}, r"rises by 0\.8 at most.* needs 1"),
    (0.0, ramp(100, 0, 1, 4.0), {}, r"does not begin with a neutral face"),
    (0.5, ramp(100, 30, 51, 4.0), {"cheeks": 1.0}, r"AU06 by 0\.0 only, 1"),
  ],
)
def test_a_video_without_a_smile_says_why(au06, au12, thresholds, reason):
  if reason.startswith("does"):
    au12 = np.r_[np.full(80, 4.0), np.zeros(20)]  # it ends neutral
  thresholds = segment.Thresholds(smoothing=0, **thresholds)

  with pytest.raises(segment.NoSmileError, match=reason):
    segment.find(units(np.full(100, au06), au12), INTERVAL, thresholds)


def test_a_long_part_is_sampled_evenly_and_a_short_one_padded():
  times = np.arange(100) / 50

  long = segment.sample(times, 10, 72, num_frames=32)
  short = segment.sample(times, 10, 20, num_frames=32)

  assert long.tolist() == list(range(10, 73, 2))
  assert short.tolist() == list(range(10, 42))


def test_the_last_frame_is_held_where_the_video_ends():
  chosen = segment.sample(np.arange(30) / 50, 20, 28, num_frames=32)

  assert chosen.tolist() == list(range(20, 30)) + [29] * 22


def test_a_variable_rate_is_sampled_at_its_own_pace():
  # 40 ms, then a pause of 400 ms in which one frame stands still.
  times = np.r_[np.arange(20) * 0.04, 1.16 + np.arange(20) * 0.04]

  chosen = segment.sample(times, 18, 22, num_frames=16)

  # Frame 19 is shown at 0.76 s and stands until 1.16 s, to the middle of which
  # it is the nearest; then frame 20 is, up to its own time.
  assert chosen.tolist() == [18, *[19] * 5, *[20] * 6, 21, 22, 23, 24]


@hypothesis.given(
  num_frames=st.integers(2, 40),
  length=st.integers(2, 300),
  places=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@hypothesis.settings(deadline=None)
def test_a_sample_begins_at_the_start_and_never_goes_back(
  num_frames, length, places
):
  start, end = sorted(round(place * (length - 1)) for place in places)
  hypothesis.assume(start < end)
  times = np.arange(length) / 25

  chosen = segment.sample(times, start, end, num_frames)

  assert len(chosen) == num_frames and chosen[0] == start
  assert np.all(np.diff(chosen) >= 0) and chosen[-1] < length
  if end - start + 1 >= num_frames:
    assert chosen[-1] == end


def neutral():
  random = np.random.default_rng(1)
  points = random.uniform(0, 100, (68, 2))
  points[36], points[45] = [20, 40], [80, 40]  # 60 pixels between the eyes
  return points


def test_the_head_itself_may_move_turn_and_come_nearer():
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
  points = neutral()[None] @ matrices.transpose(0, 2, 1) + shift

  assert segment.movement(points).max() < 1e-3


def test_movement_is_measured_in_tenths_of_the_distance_between_the_eyes():
  points = np.tile(neutral(), (20, 1, 1))
  random = np.random.default_rng(2)
  away = random.normal(size=(68, 2))
  away -= away.mean(axis=0)
  away *= 3 / np.sqrt(np.mean(np.sum(away**2, axis=1)))  # 3 of 60 pixels
  points[10:] += away

  curve = segment.movement(points)

  assert curve[:10].max() < 1e-6
  # A twentieth is 2.5; the best similarity takes a small part of it away.
  np.testing.assert_allclose(curve[10:, 1], 2.5, rtol=0.06)


def written(tmp_path, text):
  (tmp_path / "segments.csv").write_text(text)
  return epath.Path(tmp_path / "segments.csv")


def test_a_users_parts_are_read_in_their_order(tmp_path):
  file = written(
    tmp_path, "subject, start, end\nSN001, 12, 60\nSN002,5,9\nSN001,100,130\n"
  )

  parts = segment.read(file, "subject")

  assert parts == {"SN001": ((12, 60), (100, 130)), "SN002": ((5, 9),)}


@pytest.mark.parametrize(
  ("text", "says"),
  [
    ("clip,from,to\na,1,2\n", r"columns .*from.* have to be clip,start,end"),
    ("", "have to be clip,start,end"),
    ("clip,start,end\na,1,2\nb,7,7\n", "Line 3 .*the start before the end"),
    ("clip,start,end\na,one,2\n", "Line 2 .*a,one,2"),
    ("clip,start,end\na,1\n", "Line 2 "),
    ("clip,start,end\na,1,5\nb,1,5\na,1,9\n", "Line 4 .*second part of 'a'"),
  ],
)
def test_a_wrong_table_of_parts_names_its_line(tmp_path, text, says):
  with pytest.raises(ValueError, match=says):
    segment.read(written(tmp_path, text))

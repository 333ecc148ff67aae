"""Following one face, on faces placed by hand."""

import numpy as np
import pytest

from cmm_jax.preprocess import faces, track

PICTURE = np.zeros((8, 8, 3), np.uint8)


def face(x, y=100.0, side=80):
  """A face with its middle at (x, y); the points make it large enough."""
  points = np.tile(np.float32([x, y]), (68, 1))
  points[48:68, 1] += side / 2  # the mouth
  half = side // 2
  box = (int(x) - half, int(y) - half, int(x) + half - 1, int(y) + half - 1)
  return faces.Face(box, points, 1.0)


class Finder:
  """Gives the faces that it was made with, picture by picture."""

  def __init__(self, *found):
    self._found = iter(found)
    self.near = []

  def find(self, picture, near=None):
    self.near.append(near)
    return next(self._found)


def follow(*found):
  follower = track.Follower(Finder(*found))
  return [follower(PICTURE) for _ in found]


def test_the_largest_face_is_taken_and_then_the_same_one():
  small, large = face(100, side=60), face(400, side=90)
  larger_later = face(100, side=200)

  seen = follow([small, large], [small, larger_later, large], [small, large])

  assert seen == [large, large, large]


def test_a_face_elsewhere_is_not_taken_for_the_one_that_left():
  seen = follow([face(100)], [face(300)], [face(110)])

  assert [one is None for one in seen] == [False, True, False]


def test_the_longer_a_face_is_away_the_further_it_may_have_gone():
  moved = face(155)  # 55 pixels: more than half of its side, less than a whole

  assert follow([face(100)], [moved])[1] is None
  assert follow([face(100)], [], [moved])[2] is moved


def test_the_finder_is_told_where_the_face_was():
  finder = Finder([face(100)], [face(104)], [])
  follower = track.Follower(finder)
  seen = [follower(PICTURE) for _ in range(3)]

  assert finder.near == [None, seen[0], seen[1]]


def test_a_short_gap_is_bridged_by_a_straight_line():
  seen = [face(100), face(104), None, None, face(116)]

  joined = track.join(seen, interval=1.0)  # too slow to be smoothed

  np.testing.assert_allclose(
    joined.points[:, 0, 0], [100, 104, 108, 112, 116], atol=1e-3
  )
  assert joined.found.tolist() == [True, True, False, False, True]


def test_a_gap_at_the_end_holds_the_last_face():
  joined = track.join([face(100), face(104), None], interval=1.0)

  np.testing.assert_allclose(joined.points[2], joined.points[1], atol=1e-3)


@pytest.mark.parametrize(
  ("interval", "away", "allowed"), [(0.02, 11, 10), (0.1, 3, 2)]
)
def test_a_longer_gap_is_an_error_that_names_its_frames(
  interval, away, allowed
):
  seen = [face(100)] * 4 + [None] * away + [face(100)]

  with pytest.raises(
    faces.NoFaceError,
    match=rf"frames 54 to {53 + away} of smile\.mp4; up to {allowed} in a row",
  ):
    track.join(seen, interval, first=50, source="smile.mp4")
  track.join(seen[:4] + seen[5:], interval)  # one less is none


def test_a_video_without_a_face_is_an_error():
  with pytest.raises(faces.NoFaceError, match="frames 0 to 0"):
    track.join([None], interval=1.0)


def test_trembling_is_averaged_and_a_steady_way_is_kept():
  random = np.random.default_rng(0)
  steady = 100 + np.arange(40.0)
  tremble = random.normal(0, 1, 40)
  seen = [face(x) for x in steady]
  shaken = [face(x) for x in steady]
  for one, by in zip(shaken, tremble, strict=True):
    one.points[:, 0] += by

  smooth = track.join(seen, interval=0.02).points[5:-5, 0, 0]
  calmed = track.join(shaken, interval=0.02).points[5:-5, 0, 0]

  np.testing.assert_allclose(smooth, steady[5:-5], atol=1e-3)
  assert np.std(np.diff(calmed)) < 0.35 * np.std(np.diff(steady + tremble))


def test_a_face_too_small_is_an_error():
  with pytest.raises(faces.SmallFaceError, match=r"smile\.mp4.* 10 pixels"):
    track.join([face(100, side=20)] * 3, 0.04, source="smile.mp4")

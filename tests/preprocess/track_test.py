"""Tracking one face among hand-made detections."""

import numpy as np
import pytest

from cmm_jax.preprocess import faces, track

IMAGE = np.zeros((8, 8, 3), np.uint8)


def face(x, y=100.0, side=80):
  """A face centered at (x, y)."""
  points = np.tile(np.float32([x, y]), (68, 1))
  points[48:68, 1] += side / 2  # the mouth
  half = side // 2
  box = (int(x) - half, int(y) - half, int(x) + half - 1, int(y) + half - 1)
  return faces.Face(box, points, 1.0)


class Detector:
  """Returns given faces, frame by frame."""

  def __init__(self, *frames):
    self._frames = iter(frames)
    self.previous = []

  def detect(self, image, previous=None):
    self.previous.append(previous)
    return next(self._frames)


def tracked(*frames):
  tracker = track.FaceTracker(Detector(*frames))
  return [tracker(IMAGE) for _ in frames]


def test_the_largest_face_of_the_first_frame_is_tracked():
  small, large = face(100, side=60), face(400, side=90)
  larger_later = face(100, side=200)

  seen = tracked([small, large], [small, larger_later, large], [small, large])

  assert seen == [large, large, large]


def test_a_face_elsewhere_is_another_one():
  seen = tracked([face(100)], [face(300)], [face(110)])

  assert [one is None for one in seen] == [False, True, False]


def test_a_face_may_move_further_the_longer_it_is_missed():
  moved = face(155)  # 55 pixels: more than half of its side, less than a whole

  assert tracked([face(100)], [moved])[1] is None
  assert tracked([face(100)], [], [moved])[2] is moved


def test_the_detector_is_given_the_previous_face():
  detector = Detector([face(100)], [face(104)], [])
  tracker = track.FaceTracker(detector)
  first, second, _ = (tracker(IMAGE) for _ in range(3))

  assert detector.previous == [None, first, second]


def test_a_short_gap_is_interpolated():
  seen = [face(100), face(104), None, None, face(116)]

  track_of_face = track.from_detections(seen, interval=1.0)  # without smoothing

  np.testing.assert_allclose(
    track_of_face.points[:, 0, 0], [100, 104, 108, 112, 116], atol=1e-3
  )
  assert track_of_face.detected.tolist() == [True, True, False, False, True]


def test_a_gap_at_the_end_repeats_the_last_face():
  track_of_face = track.from_detections(
    [face(100), face(104), None], interval=1.0
  )

  np.testing.assert_allclose(
    track_of_face.points[2], track_of_face.points[1], atol=1e-3
  )


@pytest.mark.parametrize(
  ("interval", "missing", "allowed"), [(0.02, 11, 10), (0.1, 3, 2)]
)
def test_a_longer_gap_is_an_error_that_names_its_frames(
  interval, missing, allowed
):
  seen = [face(100)] * 4 + [None] * missing + [face(100)]

  with pytest.raises(
    faces.NoFaceError,
    match=rf"frames 54 to {53 + missing} of smile\.mp4; at most {allowed} in",
  ):
    track.from_detections(seen, interval, first_frame=50, source="smile.mp4")
  track.from_detections(seen[:4] + seen[5:], interval)  # one less is allowed


def test_a_video_without_a_face_is_an_error():
  with pytest.raises(faces.NoFaceError, match="frames 0 to 0"):
    track.from_detections([None], interval=1.0)


def test_jitter_is_smoothed_and_steady_motion_is_preserved():
  random = np.random.default_rng(0)
  steady = 100 + np.arange(40.0)
  jitter = random.normal(0, 1, 40)
  seen = [face(x) for x in steady]
  jittering = [face(x) for x in steady]
  for one, by in zip(jittering, jitter, strict=True):
    one.points[:, 0] += by

  smooth = track.from_detections(seen, interval=0.02).points[5:-5, 0, 0]
  smoothed = track.from_detections(jittering, interval=0.02).points[5:-5, 0, 0]

  np.testing.assert_allclose(smooth, steady[5:-5], atol=1e-3)
  assert np.std(np.diff(smoothed)) < 0.35 * np.std(np.diff(steady + jitter))


def test_a_face_too_small_is_an_error():
  with pytest.raises(faces.SmallFaceError, match=r"smile\.mp4.* 10 pixels"):
    track.from_detections([face(100, side=20)] * 3, 0.04, source="smile.mp4")

"""Caching detected faces."""

import dataclasses
import shutil

import numpy as np
import pytest
import shared_fake_data

from cmm_jax.preprocess import clip, detectors, mediapipe_faces, pipeline

POSED = "004_deliberate_smile_5"


@dataclasses.dataclass(frozen=True)
class NoActionUnits:
  """Zero action units, so that none have to be estimated."""

  name = "none"

  def read(self, video):
    return np.zeros((len(video), 2), np.float32)


class FailingDetector:
  """A detector that must not be used."""

  def detect(self, image, previous=None):
    raise AssertionError("a face was detected again")


@pytest.fixture
def no_detection(monkeypatch):
  """Makes the detection of faces fail."""
  monkeypatch.setattr(
    detectors,
    "get_detector",
    lambda name: FailingDetector(),
  )
  monkeypatch.setattr(
    mediapipe_faces,
    "BlendshapeEstimator",
    FailingDetector,
  )


def test_a_cached_video_is_not_searched_again(
  posed_detections, posed_clip, no_detection
):
  video = shared_fake_data.nemo_video(POSED)

  (again,) = pipeline.preprocess_video(video, cache_file=posed_detections)
  (larger,) = pipeline.preprocess_video(
    video, clip.Settings(size=128), cache_file=posed_detections
  )

  np.testing.assert_array_equal(again.frames, posed_clip.frames)
  np.testing.assert_array_equal(again.landmarks, posed_clip.landmarks)
  assert larger.frames.shape == (32, 128, 128, 3)
  np.testing.assert_allclose(
    (larger.landmarks + 0.5) / 2, posed_clip.landmarks + 0.5, atol=0.3
  )


def test_the_cache_never_changes_a_clip(posed_detections, tmp_path):
  video = shared_fake_data.nemo_video(
    POSED, action_units=NoActionUnits(), segments=((20, 45), (30, 60))
  )
  cache = tmp_path / "faces.npz"
  shutil.copy(posed_detections, cache)  # tracked from the first frame

  uncached = pipeline.preprocess_video(video)
  extended = pipeline.preprocess_video(video, cache_file=cache)
  cached = pipeline.preprocess_video(video, cache_file=cache)

  for one, *others in zip(uncached, extended, cached, strict=True):
    for other in others:
      np.testing.assert_array_equal(one.landmarks, other.landmarks)
      np.testing.assert_array_equal(one.frames, other.frames)


@pytest.mark.parametrize("change", ["video", "damage", "detector"])
def test_the_cache_of_another_video_or_detector_is_ignored(
  posed_detections, tmp_path, no_detection, change
):
  video, settings = shared_fake_data.nemo_video(POSED), clip.Settings()
  cache = tmp_path / "faces.npz"
  shutil.copy(posed_detections, cache)
  if change == "video":
    path = tmp_path / "longer.mp4"
    path.write_bytes(video.path.read_bytes() + b"\0")
    video = dataclasses.replace(video, path=path)
  elif change == "damage":
    cache.write_bytes(cache.read_bytes()[:1000])
  else:
    settings = clip.Settings(detector="mediapipe")

  with pytest.raises(AssertionError, match="detected again"):
    pipeline.preprocess_video(video, settings, cache)

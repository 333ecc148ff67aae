"""The regressors of a trained run."""

import numpy as np

from cmm_jax.evaluation.metrics import regressors


def test_images_are_measured_alike_in_batches_and_alone(finished, monkeypatch):
  monkeypatch.setattr(regressors, "_BATCH_SIZE", 4)
  trained = regressors.Regressors(finished.workdir)
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (2, 3, 64, 64), np.uint8)
  faces = random.integers(0, 256, (2, 3, 64, 64, 3), np.uint8)

  points = trained.landmarks(images)
  units = trained.action_units(faces, faces[:, 0])

  assert points.shape == (2, 3, 68, 2) and units.shape == (2, 3, 2)
  np.testing.assert_allclose(  # 6 images in batches of 4 and 2, or alone
    points[1, 2], trained.landmarks(images[1, 2][None])[0], atol=1e-3
  )
  alone = trained.action_units(faces[1, 2:], faces[1, 0])
  np.testing.assert_allclose(units[1, 2], alone[0], atol=1e-4)

"""The weights in the package, on the painting in the package."""

import numpy as np
import pytest

import cmm_jax
from cmm_jax import examples, weights
from cmm_jax.evaluation.metrics import regressors


@pytest.fixture(scope="module")
def smiles():
  return cmm_jax.load()(examples.MONA_LISA, label="posed")


@pytest.fixture(scope="module")
def points(smiles):
  """Landmarks of the modes' first and last frames, in pixels of 64."""
  ends = smiles.landmark_images[0, 1:][:, [0, -1]]
  return regressors.Regressors(None).landmarks(ends) / 2


def test_the_file_is_small_enough_to_ship():
  assert weights.SHIPPED.stat().st_size <= 40e6


def test_every_smile_starts_from_the_painting_itself(smiles):
  photo = smiles.photos[0].image

  for name in smiles.sequence_names:
    np.testing.assert_array_equal(next(smiles.full_size(name)), photo)


def test_one_mode_narrows_the_eyes_and_one_leaves_them_open(points):
  lids = points[..., [40, 41, 46, 47], 1] - points[..., [38, 37, 44, 43], 1]
  opening = lids.mean(axis=-1)
  left = opening[:, 1] / opening[:, 0]

  assert left.min() < 0.7
  assert left.max() > 0.8


def test_every_mode_widens_the_mouth_and_one_keeps_it_closed(points):
  width = points[..., 54, 0] - points[..., 48, 0]
  gap = points[..., 66, 1] - points[..., 62, 1]  # between the inner lips
  widening, opening = np.diff(width)[:, 0], np.diff(gap)[:, 0]
  assert widening.min() > 2
  assert opening.max() > 1 and opening.min() < 0.5


def test_the_painting_is_not_said_to_smile_already(recwarn):
  generator = cmm_jax.load()

  assert generator.align(examples.MONA_LISA).findings == ()
  assert not [w for w in recwarn if "mona_lisa" in str(w.message)]

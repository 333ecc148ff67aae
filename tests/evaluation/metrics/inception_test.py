"""Scores of predictions made by hand."""

import hypothesis
import numpy as np
import pytest
import scipy.linalg
from hypothesis import strategies as st

from cmm_jax.evaluation.metrics import inception
from cmm_jax.evaluation.metrics.classifiers import Predictions


def predictions(probabilities=None, features=None, classifier="hand"):
  number = len(probabilities if features is None else features)
  if probabilities is None:
    probabilities = np.full((number, 2), 0.5)
  if features is None:
    features = np.zeros((number, 3))
  return Predictions(classifier, probabilities, features)


@pytest.mark.parametrize("classes", [2, 7])
def test_confident_and_varied_predictions_score_the_number_of_classes(classes):
  images = predictions(np.tile(np.eye(classes), (5, 1)))

  score = inception.inception_score(images, splits=1)

  np.testing.assert_allclose(score.value, classes)
  assert (score.splits, score.classifier) == (1, "hand")


def test_equal_predictions_score_one_in_every_split():
  images = predictions(np.tile([[0.7, 0.2, 0.1, 0.0]], (40, 1)))

  score = inception.inception_score(images)

  np.testing.assert_allclose(score.value, 1, atol=1e-9)
  assert score.splits == 10


def test_the_score_of_two_images_is_that_of_the_formula():
  one, other = np.array([0.9, 0.1]), np.array([0.4, 0.6])

  score = inception.inception_score(predictions(np.stack([one, other])), 1)

  overall = np.array([0.65, 0.35])
  divergences = [np.sum(p * np.log(p / overall)) for p in (one, other)]
  np.testing.assert_allclose(score.value, np.exp(np.mean(divergences)))


def test_each_split_is_scored_separately():
  images = predictions(np.eye(2))

  # Together they are confident and varied; alone, neither varies.
  assert inception.inception_score(images, splits=1).value == 2
  assert inception.inception_score(images, splits=2).value == 1


def test_every_split_holds_frames_of_every_clip():
  # Ten clips of 32 equal frames, each with a class of its own. Taken in order,
  # each of the 10 splits would hold one clip and score 1.
  images = predictions(np.repeat(np.eye(10), 32, axis=0))

  score = inception.inception_score(images)

  assert 8 < score.value < 10


def distributions(number, classes, seed):
  return np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), number)


@hypothesis.given(
  number=st.integers(2, 30),
  classes=st.integers(2, 6),
  splits=st.integers(1, 2),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(deadline=None)
def test_the_score_lies_between_one_and_the_number_of_classes(
  number, classes, splits, seed
):
  images = predictions(distributions(number, classes, seed))

  score = inception.inception_score(images, splits)

  assert 1 - 1e-9 <= score.value <= classes + 1e-9


def test_fewer_images_than_splits_are_refused():
  with pytest.raises(ValueError, match="3 images cannot be divided into 10"):
    inception.inception_score(predictions(np.eye(3)))


def test_only_scores_of_one_classifier_and_equal_splits_are_compared():
  confident = inception.inception_score(predictions(np.eye(4)), 1)
  uniform = inception.inception_score(predictions(np.full((4, 4), 0.25)), 1)
  split = inception.inception_score(predictions(np.eye(4)), 2)
  other = inception.inception_score(
    predictions(np.eye(4), classifier="other"), 1
  )

  for one, two in ((confident, uniform), (uniform, confident)):
    distance = inception.score_distance(one, two)
    np.testing.assert_allclose(distance.value, 4 - 1)
    assert distance.classifier == "hand"
  with pytest.raises(ValueError, match=r"splits is 1 .* and 2 "):
    inception.score_distance(confident, split)
  with pytest.raises(ValueError, match=r"classifier is 'hand' .* and 'other'"):
    inception.score_distance(confident, other)


def gaussian(mean, covariance, number=50, seed=0):
  """Features that have exactly this mean and covariance."""
  features = np.random.default_rng(seed).normal(size=(number, len(mean)))
  features -= features.mean(axis=0)
  features @= np.linalg.inv(np.linalg.cholesky(np.cov(features.T))).T
  return predictions(
    features=features @ np.linalg.cholesky(covariance).T + mean
  )


def test_the_fid_of_known_gaussians_is_that_of_the_formula():
  one = gaussian(np.array([1.0, 0.0]), np.diag([4.0, 1.0]))
  other = gaussian(np.array([4.0, 4.0]), np.diag([9.0, 25.0]), seed=1)

  distance = inception.fid(one, other)

  # Diagonal: 3^2 + 4^2 and (2 - 3)^2 + (1 - 5)^2, of the standard deviations.
  np.testing.assert_allclose(distance.value, 25 + 17)
  assert distance.classifier == "hand"


def test_the_fid_of_non_commuting_covariances_is_that_of_the_matrix_root():
  one, other = np.array([[2.0, 0.9], [0.9, 1.0]]), np.diag([0.5, 3.0])
  mean = np.zeros(2)

  found = inception.fid(gaussian(mean, one), gaussian(mean, other, seed=1))

  root = scipy.linalg.sqrtm(one @ other).real
  wanted = np.trace(one + other - 2 * root)
  np.testing.assert_allclose(found.value, wanted, rtol=1e-9)


def test_the_fid_with_fewer_images_than_features_is_that_of_the_matrix_root():
  random = np.random.default_rng(0)
  one, other = random.normal(size=(6, 10)), 2 * random.normal(size=(4, 10)) + 1

  found = inception.fid(predictions(features=one), predictions(features=other))

  covariances = np.cov(one.T), np.cov(other.T)
  eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1])
  common = np.sqrt(np.clip(eigenvalues.real, 0, None)).sum()
  gap = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
  wanted = gap + np.trace(sum(covariances)) - 2 * common
  np.testing.assert_allclose(found.value, wanted, rtol=1e-6)


@hypothesis.given(
  numbers=st.tuples(st.integers(2, 12), st.integers(2, 12)),
  dims=st.integers(1, 8),
  shift=st.floats(-5, 5),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(deadline=None)
def test_the_fid_is_symmetric_and_grows_with_a_shift_of_the_features(
  numbers, dims, shift, seed
):
  random = np.random.default_rng(seed)
  one, other = (
    predictions(features=random.normal(size=(number, dims)))
    for number in numbers
  )
  moved = predictions(features=one.features + shift)

  assert inception.fid(one, other).value >= 0
  np.testing.assert_allclose(
    inception.fid(one, other).value, inception.fid(other, one).value, atol=1e-8
  )
  np.testing.assert_allclose(inception.fid(one, one).value, 0, atol=1e-8)
  np.testing.assert_allclose(
    inception.fid(one, moved).value, dims * shift**2, atol=1e-7
  )


def test_two_classifiers_or_a_single_image_have_no_fid():
  one = predictions(features=np.zeros((2, 3)))
  with pytest.raises(
    ValueError, match="generated images were classified by other"
  ):
    inception.fid(
      predictions(features=np.zeros((2, 3)), classifier="other"), one
    )
  with pytest.raises(ValueError, match="1 original image has no covariance"):
    inception.fid(one, predictions(features=np.zeros((1, 3))))

"""Density and coverage on a line, worked by hand."""

import numpy as np
import pytest

from cmm_jax.evaluation.metrics import manifold


def line(*places):
  return np.array(places, np.float32)[:, None]


def test_density_counts_the_balls_and_coverage_those_that_are_met():
  # k = 1: the balls have the radii 1, 1, 3 about 0, 1, 4.
  originals = line(0, 1, 4)

  # 0.5 is in the first two; 3 is in the third alone; 20 in none.
  density, coverage = manifold.density_and_coverage(
    originals, line(0.5, 3, 20), neighbors=1
  )

  assert density == pytest.approx((2 + 1 + 0) / 3)
  assert coverage == 1


def test_samples_at_one_place_are_dense_and_cover_little():
  originals = line(0, 1, 10, 11)

  density, coverage = manifold.density_and_coverage(
    originals, line(0.5, 0.5), neighbors=1
  )

  assert (density, coverage) == (2, 0.5)


def test_two_sets_of_one_distribution_have_a_density_of_about_one():
  random = np.random.default_rng(0)
  one, other = random.normal(size=(2, 500, 8))

  density, coverage = manifold.density_and_coverage(one, other)

  assert density == pytest.approx(1, abs=0.15)
  assert coverage > 0.9


def test_too_few_samples_are_refused():
  with pytest.raises(ValueError, match=r"5 original and 5 generated .*too few"):
    manifold.density_and_coverage(np.ones((5, 2)), np.ones((5, 2)))

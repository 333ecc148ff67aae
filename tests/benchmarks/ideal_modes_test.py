"""Clusters of true smiles, by hand."""

import numpy as np
import pytest

from benchmarks import ideal_modes


def smiles(*sizes):
  """Smiles [n 2 68 2] whose points all move by these many pixels, and noise."""
  random = np.random.default_rng(0)
  moved = np.array(sizes, float)[:, None, None, None] * np.ones((2, 68, 2))
  return moved + random.normal(0, 0.01, moved.shape)


def test_k_means_finds_the_kinds_of_smile_however_rare():
  moved = smiles(0, 0, 0, 0, 0, 0, 5, 5)

  chosen = ideal_modes._k_means(moved, 2)

  assert len(set(chosen[:6])) == len(set(chosen[6:])) == 1
  assert chosen[0] != chosen[6]


def test_shares_are_those_of_the_regions_alone():
  group = np.zeros((2, 3, 68, 2))
  group[1, :, 48:, 0] = 3.4  # the mouth's 20 points of 68

  apd, mouth, eyes = ideal_modes._shares([group]).split(" | ")

  assert float(apd) == pytest.approx(3.4 * 20 / 68)
  assert float(mouth) == pytest.approx(3.4)
  assert float(eyes) == 0

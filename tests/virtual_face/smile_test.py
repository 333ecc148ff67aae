"""Sampled smiles: their course, their labels, their variety."""

import numpy as np
import pytest

from cmm_jax.virtual_face import smile


@pytest.mark.parametrize("label", smile.LABELS)
def test_a_smile_starts_at_rest_and_ends_at_its_apex(label):
  for seed in range(20):
    sampled = smile.simulate(label, np.random.default_rng(seed))
    assert sampled.au12[:2].max() == 0
    assert sampled.closing[:2].max() < 0.05
    assert sampled.au12[-8:].min() > 0.7 * sampled.au12.max()
    action_units = smile.action_units(sampled)
    assert action_units.shape == (32, 2)
    assert action_units.min() >= 0 and action_units.max() <= 5


def test_posed_smiles_start_faster_and_raise_the_cheeks_less():
  sampled = {
    label: [smile.simulate(label, np.random.default_rng(i)) for i in range(200)]
    for label in smile.LABELS
  }

  def mean(label, value):
    return np.mean([value(s) for s in sampled[label]])

  def frames_to_half(s):
    return np.argmax(s.au12 > 0.5 * s.au12[-8:].mean())

  def cheek_ratio(s):
    return s.au06[-8:].mean() / s.au12[-8:].mean()

  assert mean("posed", frames_to_half) + 1.5 < mean(
    "spontaneous", frames_to_half
  )
  assert mean("posed", cheek_ratio) + 0.3 < mean("spontaneous", cheek_ratio)


def test_an_unknown_label_is_refused_and_the_known_ones_are_named():
  with pytest.raises(ValueError, match=r"'forced'.*'posed'"):
    smile.simulate("forced", np.random.default_rng(0))


def test_one_face_smiles_in_different_ways():
  sampled = [
    smile.simulate("posed", np.random.default_rng(i)) for i in range(100)
  ]
  opened = np.mean([s.opening.max() > 0.2 for s in sampled])
  shut = np.mean([s.closing[-8:].max() > 0.5 for s in sampled])
  assert 0.35 < opened < 0.65
  assert 0.12 < shut < 0.40

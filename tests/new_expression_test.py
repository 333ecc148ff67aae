"""A finished run learns a further expression with most of its networks kept."""

import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax import checkpoints, main, train, weights
from cmm_jax.models import registry

NETWORKS = {
  **dict.fromkeys(("vae", "conditional", "modes"), "modes"),
  "translator": "translator",
}


@pytest.fixture
def continued(config, finished):
  """The settings of a run that keeps all networks of the finished one."""
  with config.unlocked():
    config.init_from = finished.workdir
    for phase in registry.MODELS["cmm_net"].phases:
      config.phases[phase].epochs = 0.0
  return config


def test_phases_without_epochs_keep_the_weights_of_the_run_before(
  continued, finished, monkeypatch
):
  main.train_all(continued)

  before, after = (
    checkpoints.load_networks(workdir, NETWORKS)
    for workdir in (finished.workdir, continued.workdir)
  )
  assert_equal(before, after)
  monkeypatch.setattr("cmm_jax.train._initial_state", None)
  main.train_all(continued)  # all is done


def test_what_keeps_its_weights_keeps_them_in_later_phases(continued):
  continued.unlock()
  continued.phases.conditional.epochs = continued.phases.modes.epochs = 1.0

  phases = registry.build(continued, 2).phases(continued)

  kept = {phase.name: phase.kept for phase in phases}
  assert kept["conditional"] == kept["modes"] == ("vae",)
  assert "vae" in phases[2].trainable  # saved there, for those who read it


def test_a_further_label_leaves_those_with_a_name_as_they_were(
  continued, finished
):
  given = weights.read_all(finished.workdir)
  model = registry.build(continued, 3)
  labels = ["posed", "surprise", "spontaneous"]

  adapted = model.adapt(given.networks, given.config, given.labels, labels)

  def condition(networks):
    kernel = networks["conditional"]["params"]["frame"]["OptimizedLSTMCell_0"]
    return kernel["ii"]["kernel"][continued.model.embedding_dim :]

  spontaneous, posed = condition(given.networks)
  mean = (spontaneous + posed) / 2
  np.testing.assert_array_equal(condition(adapted), [posed, mean, spontaneous])
  assert adapted["vae"] is given.networks["vae"]
  train._check_shapes(
    "conditional",
    adapted["conditional"],
    model.init("conditional", np.zeros(2, np.uint32)),
  )


def test_weights_of_before_the_label_had_a_scale_act_as_they_did(
  continued, finished
):
  given = weights.read_all(finished.workdir)
  before = given.config.copy_and_resolve_references()
  before.unlock()
  del before.model["label_scale"]
  assert continued.model.label_scale == 10
  model = registry.build(continued, 2)

  adapted = model.adapt(given.networks, before, given.labels, given.labels)

  inputs = jnp.ones((2, continued.model.embedding_dim)), jnp.eye(2)
  expected = registry.build(before, 2).conditional.apply(
    given.networks["conditional"], *inputs
  )
  found = model.conditional.apply(adapted["conditional"], *inputs)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_weights_have_to_come_from_somewhere(continued):
  with continued.unlocked():
    continued.init_from = ""

  with pytest.raises(ValueError, match=r"phases\.vae\.epochs is 0.*init_from"):
    main.train_all(continued)


def test_a_run_that_is_not_trained_is_named(continued, tmp_path):
  with continued.unlocked():
    continued.init_from = str(tmp_path)

  with pytest.raises(FileNotFoundError, match="No trained model"):
    main.train_all(continued)


def assert_equal(one, other):
  if isinstance(one, np.ndarray):
    np.testing.assert_array_equal(one, other)
    return
  assert one.keys() == other.keys()
  for name in one:
    assert_equal(one[name], other[name])

"""The configs: what differs between them, and that they are locked."""

import pytest

from cmm_jax.models import mode_bank, registry
from configs import (
  as_printed,
  disfa,
  equal_terms,
  laptop,
  nemo,
  new_expression,
  photos,
  quick,
  smoke,
  virtual_smiles,
)

CONFIGS = {
  module.__name__.removeprefix("configs."): module
  for module in (disfa, laptop, nemo, photos, quick, smoke, virtual_smiles)
}


def flat(config):
  """Settings by their full names."""
  return dict(_walk(config.to_dict(), ""))


def _walk(tree, prefix):
  for name, value in tree.items():
    if isinstance(value, dict):
      yield from _walk(value, f"{prefix}{name}.")
    else:
      yield f"{prefix}{name}", value


def differences(one, other):
  one, other = flat(one.get_config()), flat(other.get_config())
  assert one.keys() == other.keys()  # every setting exists in the base
  return {name for name in one if one[name] != other[name]}


def test_smoke_shrinks_sizes_and_does_nothing_else():
  sizes = {"model.embedding_dim"} | {
    f"model.{name}"
    for name in (
      *("vae_width", "lstm_dim", "translator_width", "regressor_width"),
      "video_gan_width",
    )
  }
  lengths = {
    f"phases.{name}.{setting}"
    for name in quick.get_config().phases
    for setting in ("epochs", "clips_per_batch", "frames_per_clip")
  }

  found = differences(quick, smoke)

  assert found <= sizes | lengths | {"workdir"}
  assert sizes <= found
  small, large = flat(smoke.get_config()), flat(quick.get_config())
  for name in sizes:
    assert small[name] < large[name]


def test_the_rendered_dataset_differs_from_nemo_in_name_alone():
  assert differences(nemo, virtual_smiles) == {"data.name", "workdir"}


@pytest.mark.parametrize("smaller", [quick, laptop])
def test_smaller_runs_keep_the_method(smaller):
  found = differences(virtual_smiles, smaller)

  assert smaller.get_config().loss.instance_noise == 0  # too short to need it
  for name in found - {"loss.instance_noise"}:
    assert not name.startswith(("modes.", "loss.")), name


@pytest.mark.parametrize("base", [quick, nemo, photos])
def test_as_printed_keeps_sizes_and_data_and_none_of_our_levers(base):
  name = base.__name__.removeprefix("configs.")
  printed, own = flat(as_printed.get_config(name)), flat(base.get_config())

  changed = {key for key in own if printed[key] != own[key]}

  assert printed.keys() == own.keys()
  for key in changed - {
    *("workdir", "model.translator_output", "model.label_scale")
  }:
    assert key.startswith(("modes.", "loss.", "data.")), key
  assert not changed & {"data.name", "data.image_size", "loss.l1"}
  assert (
    mode_bank.ModeSettings(**as_printed.get_config(name).modes)
    == mode_bank.PAPER
  )


@pytest.mark.parametrize("base", [quick, laptop, nemo])
def test_equal_terms_change_the_baselines_alone(base):
  name = base.__name__.removeprefix("configs.")
  equal, own = equal_terms.get_config(name), base.get_config()

  changed = {k for k, v in flat(own).items() if flat(equal)[k] != v}

  assert changed <= {
    *("workdir", "model.video_gan_width", "phases.video_gan.epochs"),
    *("phases.cra_net_vae.epochs", "phases.cra_net.epochs"),
    "phases.video_gan.learning_rate",
  }
  phases = equal.phases
  epochs = [
    sum(phases[phase].epochs for phase in registry.MODELS[model].phases)
    for model in ("cmm_net", "cra_net", "video_gan")
  ]
  epochs[0] -= phases.regressors.epochs
  assert epochs == pytest.approx([epochs[0]] * 3)


def test_a_new_expression_is_learned_by_the_conditional_lstm_alone():
  config = new_expression.get_config()

  phases = registry.build(config, 3).phases(config)

  learning = [p for p in phases if config.phases[p.name].epochs]
  assert [p.name for p in learning] == ["conditional", "regressors"]
  assert {n for n in learning[0].trainable if n not in learning[0].kept} == {
    "conditional"
  }


@pytest.mark.parametrize("name", CONFIGS)
def test_a_locked_config_refuses_a_misspelt_name(name):
  config = CONFIGS[name].get_config().lock()

  with pytest.raises(AttributeError):
    config.phases.vae.epoch = 3
  with pytest.raises(AttributeError):
    config.modle = 3


@pytest.mark.parametrize("name", CONFIGS)
def test_every_phase_has_its_settings(name):
  config = CONFIGS[name].get_config()
  built = {
    phase.name
    for model in registry.MODELS
    for phase in registry.build(config, 2, model).phases(config)
  }

  assert set(config.phases) == built


def test_the_papers_mode_settings_are_those_that_the_config_names():
  config = nemo.get_config()
  config.modes.shared_start = False
  config.modes.push_input = "embeddings"
  config.modes.reconstruction = "conditional"

  assert mode_bank.mode_settings(config) == mode_bank.PAPER


def test_landmark_images_are_no_larger_than_the_faces():
  for module in CONFIGS.values():
    config = module.get_config()
    assert config.model.landmark_image_size <= config.data.image_size


def test_weights_for_photos_see_every_way_in_which_photos_differ():
  found = differences(laptop, photos)

  ways = {"light", "blur", "compression"}
  assert found >= {f"data.{name}" for name in ways | {"color", "image_size"}}
  assert not any(name.startswith("modes.") for name in found)

"""The models by name: their phases, variants and settings."""

import dataclasses
import functools
import itertools

import jax
import miniature
import pytest

from cmm_jax.models import mode_bank, registry

PHASES = ("vae", "conditional", "modes", "translator", "regressors")


@pytest.mark.parametrize("model", registry.MODELS)
def test_what_a_phase_needs_was_trained_before_it(model):
  trained = {}
  before = [
    miniature.build_model(name)[1].items()
    for name in registry.parse_names(model)
  ]
  for name, phase in itertools.chain.from_iterable(before):
    for network, earlier in (*phase.trainable.items(), *phase.frozen.items()):
      if earlier is not None:
        assert network in trained[earlier], f"{name} takes {network}"
    assert not phase.trainable.keys() & phase.frozen.keys()
    trained[name] = set(phase.trainable)
  for phase, networks in (
    miniature.build_model(model)[0].inference_networks().items()
  ):
    assert trained[phase] >= set(networks)


def test_a_model_that_does_not_exist_is_named_with_those_that_do():
  config = miniature.config("nowhere", "nowhere")

  with pytest.raises(
    ValueError, match=r"no model 'gan'; choose one of cmm_net, .*video_gan"
  ):
    registry.build(config, 2, "gan")


def test_the_order_is_the_papers():
  _, by_name = miniature.build_model()

  assert tuple(by_name) == PHASES
  # Section 3.5; the regressors are ours, to measure.
  order = [name for name in by_name if name != "regressors"]
  assert order == ["vae", "conditional", "modes", "translator"]
  assert by_name["conditional"].trainable == {"vae": "vae", "conditional": None}
  assert by_name["modes"].trainable == {
    "vae": "conditional",
    "conditional": "conditional",
    "modes": None,
    "mode_discriminator": None,
  }


@pytest.mark.parametrize("setting", ["push_input", "reconstruction"])
def test_a_choice_that_does_not_exist_is_named_with_those_that_do(setting):
  config = miniature.config("nowhere", "nowhere")
  config.modes[setting] = "both"

  with pytest.raises(
    ValueError, match=f"config.modes.{setting} is 'both'; choose one of '"
  ):
    registry.build(config, 2).phases(config)


def test_a_list_of_models_puts_a_variant_after_its_base():
  assert registry.parse_names("cra_net, video_gan") == ["cra_net", "video_gan"]
  assert registry.parse_names("cmm_net_push_0,cra_net") == [
    *("cmm_net", "cmm_net_push_0", "cra_net")
  ]
  every = registry.parse_names("mode_loss_variants")
  variants = [f"cmm_net_{variant}" for variant in mode_bank.VARIANTS]
  assert every == ["cmm_net", *variants]
  with pytest.raises(
    ValueError, match=r"'gan'; choose .*cra_net.*mode_loss_variants"
  ):
    registry.parse_names("cmm_net,gan")


def test_a_variant_shares_all_phases_but_the_modes():
  _, by_name = miniature.build_model("cmm_net_best_of_modes")

  assert list(by_name) == ["modes_best_of_modes"]
  assert (
    by_name["modes_best_of_modes"].trainable
    == miniature.build_model()[1]["modes"].trainable
  )


def test_variants_change_one_setting_each():
  config = miniature.config("nowhere", "nowhere")
  base = {"paper": mode_bank.PAPER, "config": mode_bank.mode_settings(config)}

  settings = {}
  for name, variant in mode_bank.VARIANTS.items():
    settings[name] = mode_bank.mode_settings(config, name)
    one, other = (
      dataclasses.asdict(s) for s in (settings[name], base[variant.base])
    )
    changed = {field for field in one if one[field] != other[field]}
    assert len(changed) == (name != "as_printed"), name
    assert changed == variant.changes.keys(), name
  assert len({*settings.values(), base["config"]}) == len(settings) + 1


def test_the_modes_weights_do_not_depend_on_how_many_labels_there_are():
  config = miniature.config("nowhere", "nowhere")
  model = registry.build(config, 5)

  shapes = jax.eval_shape(
    functools.partial(model.init, "conditional"), jax.random.key(0)
  )

  kernel = shapes["params"]["frame"]["OptimizedLSTMCell_0"]["ii"]["kernel"]
  assert kernel.shape == (config.model.embedding_dim + 5, config.model.lstm_dim)
  assert dataclasses.replace(model, num_labels=2).modes == model.modes


def test_a_form_of_the_translator_that_does_not_exist_is_named():
  config = miniature.config("nowhere", "nowhere")
  config.model.translator_output = "flow"

  with pytest.raises(
    ValueError, match=r"translator_output is 'flow'; choose one of 'image', "
  ):
    registry.build(config, 2)


def test_a_type_to_compute_in_that_does_not_exist_is_named():
  with pytest.raises(ValueError, match=r"dtype is 'float16': set it to"):
    miniature.build_model(dtype="float16")

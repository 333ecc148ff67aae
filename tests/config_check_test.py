"""Every setting has a range, and all faults are named before any work."""

import pathlib
import subprocess
import sys

import pytest

from cmm_jax import config_check, main, run_config, weights
from cmm_jax.models import registry
from configs import disfa, laptop, nemo, photos, quick, smoke, virtual_smiles

MODULES = (disfa, laptop, nemo, photos, quick, smoke, virtual_smiles)


def changed(**values):
  """The smoke config with some settings changed, "." written as "__"."""
  config = smoke.get_config()
  with config.ignore_type():
    for name, value in values.items():
      *path, last = name.split("__")
      place = config
      for part in path:
        place = place[part]
      place[last] = value
  return config


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_every_config_may_be_used_with_every_model(module):
  for model in registry.MODELS:
    config = module.get_config()
    config.train.model = model
    assert config_check.faults(config) == []


def test_the_phases_of_a_model_are_those_that_it_builds():
  for name, entry in registry.MODELS.items():
    config = smoke.get_config()
    phases = registry.build(config, 2, name).phases(config)
    assert tuple(dict.fromkeys(p.name for p in phases)) == entry.phases


@pytest.mark.parametrize(
  ("setting", "value", "wanted"),
  [
    ("model__num_modes", 0, "a whole number from 1 to 64"),
    ("model__num_modes", 2.0, "a whole number"),
    ("model__num_modes", True, "a whole number"),
    ("model__vae_width", 0, "a whole number from 1 to 4096"),
    ("phases__vae__learning_rate", -1.0, "a number above 0 and at most 1"),
    ("phases__vae__learning_rate", 0.0, "a number above 0"),
    ("phases__vae__learning_rate", float("nan"), "a number above 0"),
    ("phases__vae__epochs", float("inf"), "a number from 0 to 1e+06"),
    ("phases__cra_net__epochs", 0.0, "a number above 0"),
    ("phases__vae__beta1", 1.0, "a number from 0 and below 1"),
    ("loss__decoded_share", 1.5, "a number from 0 to 1"),
    ("data__image_size", 96, "one of 32, 64"),
    ("data__mirror", 1, "one of True, False"),
    ("data__name", " ", "a text that is not empty"),
    ("modes__push_input", "pixels", "one of embeddings"),
    ("train__model", "cmm_net,gan", "models with commas"),
    ("train__log_every_steps", 0, "a whole number from 1"),
    ("seed", -1, "a whole number from 0"),
    ("model__dtype", None, "one of auto"),
  ],
)
def test_a_value_out_of_range_is_named_with_the_range(setting, value, wanted):
  (found,) = config_check.faults(changed(**{setting: value}))

  name = setting.replace("__", ".")
  assert found.startswith(f"config.{name} is {value!r}: give {wanted}")


def test_all_faults_are_named_at_once():
  config = changed(model__num_modes=0, model__vae_width=0, loss__kl="much")
  del config.model.lstm_dim
  config.model.lstm_width = 8

  with pytest.raises(ValueError) as error:
    config_check.check(config)

  lines = str(error.value).splitlines()
  assert len(lines) == 6
  for name in ("num_modes", "vae_width", "kl", "lstm_dim is missing"):
    assert name in str(error.value)
  assert "no setting config.model.lstm_width: did you mean" in str(error.value)


def test_the_name_of_an_unknown_setting_stays_in_one_line():
  assert config_check.unknown("model.num\nmodes").splitlines() == [
    "There is no setting config.'model.num\\nmodes': did you mean "
    "config.model.num_modes?"
  ]


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"model__landmark_image_size": 128}, "landmark_image_size is 128: .* 64"),
    ({"phases__vae__frames_per_clip": 33}, "vae.frames_per_clip is 33: .* 32"),
    (
      {"train__model": "video_gan", "phases__video_gan__frames_per_clip": 8},
      "video_gan.frames_per_clip is 8: .* 32",
    ),
    (
      {
        "train__model": "video_gan",
        "data__num_frames": 24,
        "phases__video_gan__frames_per_clip": 24,
      },
      "num_frames is 24: give a multiple of 16",
    ),
  ],
)
def test_sizes_that_do_not_suit_each_other_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    config_check.check(changed(**changes))


def test_phases_that_are_not_trained_may_have_other_lengths():
  config = changed(data__num_frames=16, phases__video_gan__frames_per_clip=32)

  assert config_check.faults(config) == []


def test_a_faulty_config_stops_before_the_run_begins(config):
  with config.unlocked():
    config.model.num_modes = 0

  with pytest.raises(ValueError, match="num_modes is 0"):
    main.train_all(config)

  assert not pathlib.Path(config.workdir).exists()


@pytest.mark.parametrize(
  ("phase", "count", "message"),
  [
    ("translator", 64, "phases.translator: A batch of 64 .* 16"),
    ("regressors", 4, "phases.regressors: 4 clips per batch .* 8 devices"),
  ],
)
def test_a_later_phase_that_could_not_start_stops_before_the_first(
  config, phase, count, message
):
  with config.unlocked():
    config.phases[phase].clips_per_batch = count

  with pytest.raises(ValueError, match=message):
    main.train_all(config)

  assert not pathlib.Path(config.workdir).exists()


def test_weights_of_another_size_stop_before_the_first_phase(config):
  with config.unlocked():
    config.init_from = "weights"

  with pytest.raises(ValueError, match=r"config.init_from: .* shape"):
    main.train_all(config)

  assert not pathlib.Path(config.workdir).exists()


def test_a_run_whose_saved_settings_were_changed_by_hand_is_refused(tmp_path):
  run_config.save_or_check_config(str(tmp_path), smoke.get_config(), ["posed"])
  file = tmp_path / "config.json"
  file.write_text(file.read_text().replace('"num_modes": 3', '"num_modes": -3'))

  with pytest.raises(ValueError, match=r"config.json .*num_modes is -3"):
    run_config.read_config(tmp_path)


def test_the_shipped_weights_have_a_config_that_may_be_used():
  config = weights.read().config

  assert config_check.faults(config, for_training=False) == []


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (
      ["--config=configs/smoke.py", "--config.modle.num_modes=3"],
      "no setting config.modle.num_modes: did you mean config.model.num_modes?",
    ),
    (["--config=configs/none.py"], "--config=configs/none.py cannot be used"),
    (["--config={tmp_path}/own.py"], "own.py cannot be used: division by zero"),
  ],
)
def test_the_command_reports_a_faulty_config_in_one_line(
  tmp_path, arguments, message
):
  (tmp_path / "own.py").write_text("def get_config():\n  return 1 / 0\n")
  arguments = [text.format(tmp_path=tmp_path) for text in arguments]

  done = subprocess.run(
    [sys.executable, "-m", "cmm_jax.main", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 1
  assert message in done.stderr
  assert len(done.stderr.splitlines()) == 1

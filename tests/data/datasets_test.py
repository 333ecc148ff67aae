"""Fake copies of the real datasets are built, trained on, generated from."""

import csv

import jax
import numpy as np
import pytest
import shared_fake_data
import tensorflow_datasets as tfds
from jax.sharding import Mesh

from cmm_jax import inference, main, programs
from cmm_jax.data import clips
from cmm_jax.models import base
from configs import disfa as disfa_config
from configs import nemo as nemo_config
from configs import smoke
from tfds_builders.disfa import disfa_dataset_builder as disfa
from tfds_builders.disfa_plus import disfa_plus_dataset_builder as disfa_plus
from tfds_builders.uva_nemo import uva_nemo_dataset_builder as uva_nemo
from tfds_builders.video_folder import video_folder_dataset_builder as folders


def sharing(builder, dataset, **config):
  """A builder whose faces are detected only once in all processes."""
  with tfds.core.registered.skip_registration():
    made = type(
      "Builder",
      (shared_fake_data.SharedDetections, builder),
      {"FAKE_DATASET": dataset, "__module__": builder.__module__},
    )
  made.name = dataset
  if config:
    kind = type(builder.BUILDER_CONFIGS[0])
    made.BUILDER_CONFIGS = [kind(name="64x64", **config)]
  return made


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """All four datasets in one data_dir."""
  data_dir = tmp_path_factory.mktemp("real")
  for builder, dataset, config in (
    (uva_nemo.Builder, "uva_nemo", {"max_failed_fraction": 0.4}),
    (disfa.Builder, "disfa", {}),
    (disfa_plus.Builder, "disfa_plus", {}),
    (
      folders.Builder,
      "video_folder",
      {"segment": "movement", "thresholds": {"neutral_level": 0.25}},
    ),
  ):
    one = sharing(builder, dataset, **config)(data_dir=data_dir, config="64x64")
    one.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
        manual_dir=shared_fake_data.write_once(dataset)[0]
      )
    )
  return str(data_dir)


def few_steps(config, data_dir, workdir):
  """A config with the sizes of the smoke config and two steps of two clips."""
  small = smoke.get_config()
  config.workdir = str(workdir)
  config.data.data_dir = data_dir
  config.model.update(small.model)
  for phase in config.phases.values():
    phase.update(epochs=0.01, clips_per_batch=2, frames_per_clip=2)
  config.train.update(log_every_steps=1, checkpoint_every_steps=1)
  return config.lock()


def video_folder_config():
  config = nemo_config.get_config()
  config.data.name = "video_folder/64x64"
  return config


@pytest.mark.parametrize(
  ("get_config", "labels"),
  [
    (nemo_config.get_config, ["spontaneous", "posed"]),
    (disfa_config.get_config, ["spontaneous", "posed"]),
    (video_folder_config, ["smile", "surprise"]),
  ],
  ids=["nemo", "disfa", "video_folder"],
)
def test_a_dataset_can_be_trained_on_and_generated_from(
  built, tmp_path, monkeypatch, get_config, labels
):
  # Two clips cannot be distributed over eight devices.
  mesh = Mesh(np.array(jax.devices()[:1]), (base.AXIS,))
  monkeypatch.setattr(programs, "device_mesh", lambda clips_per_batch: mesh)
  config = few_steps(get_config(), built, tmp_path / "run")

  main.train_all(config)
  split = clips.Clips(built, config.data.name, "test")
  generator = inference.SmileGenerator(config.workdir)
  clip = split[0]
  smiles = generator.generate(
    clip["frames"][:1], clip["landmarks"][:1], [labels[-1]]
  )

  assert split.labels == labels
  assert smiles.frames.shape == (1, 4, 32, 64, 64, 3)
  assert np.isfinite(clip["landmarks"]).all()
  assert 0 <= clip["action_units"].min() <= clip["action_units"].max() <= 5


def test_disfa_and_disfa_plus_are_joined(built):
  name = disfa_config.get_config().data.name

  both = clips.Clips(built, name, "train")
  parts = [clips.Clips(built, part, "train") for part in name.split("+")]

  assert len(both) == sum(map(len, parts))
  keys = [both[i]["clip"] for i in range(len(both))]
  assert keys == [part[i]["clip"] for part in parts for i in range(len(part))]
  assert {both.labels[both[i]["label"]] for i in range(len(both))} == {
    "spontaneous",
    "posed",
  }


def test_datasets_with_different_labels_are_not_joined(built):
  with pytest.raises(ValueError, match=r"same labels.*smile, surprise"):
    clips.Clips(built, "disfa/64x64+video_folder/64x64", "train")


def test_every_clip_names_the_source_of_its_action_units(built):
  sources = {
    name: {
      clip["action_units_source"].decode()
      for split in ("train", "test")
      for clip in tfds.builder_from_directory(
        f"{built}/{name}/64x64/1.0.0"
      ).as_data_source(split)
    }
    for name in ("uva_nemo", "disfa", "disfa_plus", "video_folder")
  }

  assert sources == {
    "uva_nemo": {"openface", "mediapipe blendshapes"},
    "disfa": {"disfa labels"},
    "disfa_plus": {"disfa+ labels"},
    "video_folder": {"mediapipe blendshapes"},
  }


def test_landmarks_are_checked_against_those_of_disfa(built):
  folder = shared_fake_data.preprocessing_folder("disfa") / "64x64"
  table = (folder / "clips.csv").read_text()

  rows = list(csv.DictReader(table.splitlines()))
  errors = {row["clip"]: row["landmark_error"] for row in rows}
  checked = [name for name in errors if "SN001" in name or "SN002" in name]

  assert len(checked) == 3
  assert all(1 < float(errors[name]) < 5 for name in checked)
  assert all(errors[name] == "" for name in errors if name not in checked)

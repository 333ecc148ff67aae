"""What the paper compares with: trained and used by the same commands."""

import json
import pathlib
import re

import miniature
import numpy as np
import pytest
import skimage.data
from PIL import Image

from cmm_jax import checkpoints, inference, main, monitor

# Each model's folders of checkpoints, with their last steps.
FOLDERS = {
  "cra_net": {"cra_net_vae": miniature.STEPS, "cra_net": miniature.STEPS},
  "video_gan": {"video_gan_0": 1, "video_gan_1": 1},
}


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
  """The config of a workdir in which both baselines were trained."""
  config = miniature.config(data_dir, tmp_path_factory.mktemp("baselines"))
  config.loss.update(kl=0.1, cra_net_kl=3.0)
  for model in FOLDERS:
    with config.unlocked():
      config.train.model = model
    main.train_all(config)
  return config


def test_the_same_loop_trains_both_beside_each_other(trained):
  workdir = pathlib.Path(trained.workdir)

  folders = FOLDERS["cra_net"] | FOLDERS["video_gan"]
  for folder, steps in folders.items():
    with checkpoints.Checkpoints(trained.workdir, folder) as kept:
      assert kept.newest_step() == steps
    records = monitor.read_records(workdir, folder)
    assert [r["step"] for r in records] == list(range(1, steps + 1))
    assert all(np.isfinite(v) for r in records for v in r.values())
  found = {folder.name for folder in (workdir / "checkpoints").iterdir()}
  assert found == folders.keys()  # and nothing of CMM-Net


def test_the_kl_weight_of_landmark_images_is_not_that_of_faces(trained):
  workdir = pathlib.Path(trained.workdir)
  for record in monitor.read_records(workdir, "cra_net_vae"):
    expected = record["vae_l1"] + 3.0 * record["vae_kl"]
    assert record["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_same_command_again_trains_nothing(trained, monkeypatch):
  def never(*args):
    raise AssertionError("a finished phase was trained again")

  monkeypatch.setattr("cmm_jax.train._run_steps", never)

  main.train_all(trained)


@pytest.mark.parametrize("model", FOLDERS)
def test_two_faces_become_one_clip_each(trained, clips, model):
  generator = inference.SmileGenerator(trained.workdir, model)
  faces = np.stack([clips[i]["frames"][0] for i in (0, 1)])
  points = np.stack([clips[i]["landmarks"][0] for i in (0, 1)])

  smiles = generator.generate(faces, points, ["posed", "spontaneous"])

  assert smiles.sequence_names == ("smile",) and smiles.landmark_images is None
  assert smiles.frames.shape == (2, 1, 32, 64, 64, 3)
  assert smiles.frames.dtype == np.uint8
  # Each face is made by itself, whatever stands beside it.
  alone = generator.generate(faces[1:], points[1:], ["spontaneous"])
  apart = smiles.frames[1].astype(int) - alone.frames[0]
  assert np.abs(apart).max() <= 1
  other = generator.generate(faces[1:], points[1:], ["posed"])
  assert not np.array_equal(other.frames, alone.frames)


def test_a_photo_becomes_a_video_of_the_asked_model(
  trained, tmp_path, run_command
):
  photo = tmp_path / "astronaut.png"
  Image.fromarray(skimage.data.astronaut()).save(photo)

  status = run_command(
    "generate",
    workdir=trained.workdir,
    image=[str(photo)],
    label="posed",
    out=str(tmp_path / "out"),
    model="cra_net",
  )

  assert status is None
  folder = tmp_path / "out" / "astronaut" / "posed"
  files = {"smile.mp4", "smile.gif", "contact_sheet.png", "smiles.npz"}
  assert {file.name for file in folder.iterdir()} == files
  with np.load(folder / "smiles.npz") as arrays:
    assert set(arrays) == {"face", "names", "frames"}


@pytest.mark.parametrize(
  ("model", "says"),
  [
    ("gan", "no model 'gan'; choose one of cmm_net, cra_net, video_gan"),
    ("cmm_net", "train phase 'modes' first.*--config.train.model=MODEL"),
  ],
)
def test_a_model_that_is_not_there_is_one_error(
  trained, tmp_path, run_command, model, says
):
  photo = tmp_path / "gray.png"
  Image.fromarray(np.full((99, 99, 3), 128, np.uint8)).save(photo)

  status = run_command(
    "generate",
    workdir=trained.workdir,
    image=[str(photo)],
    label="all",
    out=str(tmp_path / "out"),
    model=model,
  )

  assert status.startswith("error: ")
  assert re.search(says, status, re.DOTALL)
  assert not (tmp_path / "out").exists()


def test_training_a_model_that_does_not_exist_writes_nothing(config):
  with config.unlocked():
    config.train.model = "gan"

  with pytest.raises(ValueError, match=r"model is 'gan': give .* of cmm_net"):
    main.train_all(config)

  assert not pathlib.Path(config.workdir).exists()


def test_which_model_is_trained_may_change_between_starts(trained):
  file = pathlib.Path(trained.workdir) / "config.json"

  first = json.loads(file.read_text())["config"]["train"]["model"]

  assert first == "cra_net" and trained.train.model == "video_gan"

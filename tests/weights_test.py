"""A file of weights: the same smiles out of it, and damage is noticed."""

import pathlib

import numpy as np
import pytest

import cmm_jax
from cmm_jax import checkpoints, inference, train, weights


@pytest.fixture(scope="module")
def file(finished, tmp_path_factory):
  out = tmp_path_factory.mktemp("weights") / "smiles.safetensors"
  weights.write(finished.workdir, out)
  return out


def test_a_file_of_weights_generates_what_its_run_does(file, finished, clips):
  face, points = clips[0]["frames"][:1], clips[0]["landmarks"][:1]
  run = inference.SmileGenerator(finished.workdir)

  loaded = cmm_jax.load(file)

  assert loaded.labels == run.labels
  one = loaded.generate(face, points, "posed").frames
  other = run.generate(face, points, "posed").frames
  difference = np.abs(one.astype(int) - other)
  assert difference.max() <= 8 and difference.mean() < 0.2  # half precision


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "another"])
def test_a_damaged_file_is_named_in_one_error(file, tmp_path, harm):
  content = bytearray(file.read_bytes())
  if harm == "cut":
    content = content[: len(content) // 2]
  elif harm == "flipped":
    content[-1000] ^= 1
  elif harm == "empty":
    content = b""
  else:
    content = b"a picture, perhaps" * 100
  bad = tmp_path / "bad.safetensors"
  bad.write_bytes(content)

  with pytest.raises(ValueError, match=r"bad\.safetensors is damaged"):
    weights.read(bad)


def test_a_model_that_is_not_in_the_file_is_named(file):
  with pytest.raises(FileNotFoundError, match="has no network 'generator'"):
    inference.SmileGenerator(file, "video_gan")


def test_a_missing_file_is_named():
  with pytest.raises(FileNotFoundError, match="No weights at 'none'"):
    weights.read("none")


def fine_tuned(config, file, **changes):
  config = config.copy_and_resolve_references()
  config.unlock()
  config.init_from = str(file)
  config.model.update(changes)
  return config.lock()


def test_fine_tuning_starts_from_the_file(file, config, clips):
  from cmm_jax.models import registry

  config = fine_tuned(config, file)
  model = registry.build(config, 2)
  phase = model.phases(config)[0]
  before = weights.read(file).networks["vae"]["params"]

  train.run(phase, model, config, clips)

  after = checkpoints.load_networks(config.workdir, {"vae": "vae"})["vae"]
  old = before["encoder"]["conv_1"]["kernel"]
  new = after["params"]["encoder"]["conv_1"]["kernel"]
  # A few steps at a small learning rate: near the file, far from elsewhere.
  assert 0 < np.abs(new - old).max() < 0.02 < np.abs(old).max()


def test_weights_of_other_sizes_are_refused(file, config, clips):
  from cmm_jax.models import registry

  config = fine_tuned(config, file, vae_width=4)
  model = registry.build(config, 2)

  with pytest.raises(ValueError, match=r"config\.init_from: vae/.*the shape"):
    train.run(model.phases(config)[0], model, config, clips)
  assert not list(pathlib.Path(config.workdir).rglob("networks"))

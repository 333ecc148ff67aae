"""Damaged checkpoints are noticed, whichever bit it is."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cmm_jax import checkpoints, train_step


def make_state(seed):
  kernel = jax.random.normal(jax.random.key(seed), (40, 30))
  network = {"params": {"kernel": kernel, "bias": jnp.ones(7)}}
  optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 10))
  return train_step.create_state({"vae": network}, optimizer)


def save(workdir, steps=(1, 2), phase="vae"):
  with checkpoints.Checkpoints(workdir, phase) as saved:
    for step in steps:
      state = make_state(step)
      saved.save(step, state.networks, state.opt_state)
  return saved.folder


def restore(workdir):
  like = make_state(0)
  with checkpoints.Checkpoints(workdir, "vae") as saved:
    return saved.restore(like.networks, like.opt_state)


def data_files(folder):
  return [f for f in folder.rglob("d/*") if f.is_file()]


def assert_is_step(restored, step):
  assert restored[0] == step
  state = make_state(step)
  expected = jax.tree.leaves((state.networks, state.opt_state))
  for array, wanted in zip(
    jax.tree.leaves(restored[1:]), expected, strict=True
  ):
    np.testing.assert_array_equal(array, wanted)


def test_what_was_saved_is_restored(tmp_path):
  save(tmp_path)

  assert_is_step(restore(tmp_path), 2)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.filterwarnings("ignore:Checkpoint .* set aside")
def test_a_flipped_bit_never_gives_other_weights(tmp_path, number):
  folder = save(tmp_path)
  random = np.random.default_rng(number)
  files = data_files(folder / "2")
  file = files[number % len(files)]
  content = bytearray(file.read_bytes())
  content[random.integers(len(content))] ^= 1 << int(random.integers(8))
  file.write_bytes(content)

  restored = restore(tmp_path)

  assert_is_step(restored, restored[0])


def test_weights_that_were_changed_on_disk_are_noticed(tmp_path):
  folder = save(tmp_path)
  # Another checkpoint's arrays, which are whole files.
  shutil.rmtree(folder / "2" / "networks")
  shutil.copytree(folder / "1" / "networks", folder / "2" / "networks")

  with pytest.warns(UserWarning, match="checksum of its networks differs"):
    restored = restore(tmp_path)

  assert_is_step(restored, 1)
  assert (folder / "2.damaged").exists()


@pytest.mark.parametrize(
  ("copy", "wanted"),
  [("other/checkpoints/vae/2", "run"), ("run/checkpoints/modes/2", "phase")],
)
def test_a_checkpoint_of_another_run_or_phase_is_noticed(
  tmp_path, copy, wanted
):
  for name in ("run", "other"):
    (tmp_path / name).mkdir()
    settings = {"config": {"seed": name}, "labels": []}
    (tmp_path / name / "config.json").write_text(json.dumps(settings))
    save(tmp_path / name)
  save(tmp_path / "run", phase="modes")
  folder = tmp_path / "run" / "checkpoints" / "vae"
  shutil.rmtree(folder / "2")
  shutil.copytree(tmp_path / copy, folder / "2")

  with pytest.warns(UserWarning, match=f"belongs to another {wanted}"):
    restored = restore(tmp_path / "run")

  assert_is_step(restored, 1)


def test_a_checkpoint_without_checksums_is_used_with_a_warning(tmp_path):
  folder = save(tmp_path)
  shutil.rmtree(folder / "2" / "checksums")

  with pytest.warns(UserWarning, match="has no checksums"):
    restored = restore(tmp_path)

  assert_is_step(restored, 2)


def test_without_an_intact_checkpoint_there_is_none(tmp_path):
  folder = save(tmp_path, steps=(2,))
  for file in data_files(folder / "2"):
    file.write_bytes(b"")

  with pytest.warns(UserWarning, match="there is none before it"):
    assert restore(tmp_path) is None
  assert [p.name for p in pathlib.Path(folder).iterdir()] == ["2.damaged"]

"""The loop and its step, on toys."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from cmm_jax import checkpoints, monitor, train
from cmm_jax.models import registry


def toy_networks():
  return {
    "one": {"params": jnp.float32(1.0)},
    "two": {"params": jnp.float32(2.0), "batch_stats": jnp.float32(0.0)},
  }


def toy_loss(networks, batch):
  """(mean over the batch of one * two * x) + frozen * one."""
  one, two = networks["one"]["params"], networks["two"]["params"]
  product = jnp.mean(one * two * batch["x"])
  loss = product + networks["still"]["params"] * one
  statistics = {"two": jax.lax.pmean(jnp.mean(batch["x"]), registry.AXIS)}
  return loss, ({"product": product}, statistics)


@pytest.mark.parametrize("num_devices", [1, 2, 8])
def test_a_step_descends_the_mean_over_all_devices(num_devices):
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (registry.AXIS,))
  step = train.make_train_step(toy_loss, optax.sgd(0.1), mesh)
  state = train.create_state(toy_networks(), optax.sgd(0.1))
  batch = {"x": jnp.arange(8.0)}  # mean 3.5

  state, terms = step(state, {"still": {"params": jnp.float32(5.0)}}, batch)

  assert state.step == 1
  # d/d one = two * 3.5 + still = 12;  d/d two = one * 3.5
  np.testing.assert_allclose(
    state.networks["one"]["params"], 1 - 0.1 * 12, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    state.networks["two"]["params"], 2 - 0.1 * 3.5, rtol=1e-6
  )
  np.testing.assert_allclose(state.networks["two"]["batch_stats"], 3.5)
  assert set(state.networks) == {"one", "two"}  # what is frozen is not kept
  assert terms == {
    "loss": pytest.approx(12.0),
    "product": pytest.approx(7.0),
    "grad_norm_one": pytest.approx(12.0),
    "grad_norm_two": pytest.approx(3.5),
  }


@pytest.mark.parametrize(
  ("epochs", "steps"),
  [
    (1, 16),  # 16 clips of 32 frames, 8 * 4 frames a step
    (0.5, 8),
    (1.01, 17),  # the last step is begun
    (0.001, 1),
  ],
)
def test_epochs_count_how_often_a_frame_is_seen(epochs, steps):
  settings = ml_collections.ConfigDict(
    dict(epochs=epochs, clips_per_batch=8, frames_per_clip=4)
  )

  assert train.num_steps(settings, num_clips=16, num_frames=32) == steps


def test_the_learning_rate_falls_to_a_tenth():
  settings = ml_collections.ConfigDict(dict(learning_rate=0.5, beta1=0.0))
  optimizer = train.make_optimizer(settings, steps=10)
  state = optimizer.init(0.0)
  sizes = []
  for _ in range(11):
    update, state = optimizer.update(1.0, state)
    sizes.append(-float(update))  # Adam's step on a steady gradient: the rate

  np.testing.assert_allclose([sizes[0], sizes[10]], [0.5, 0.05], rtol=1e-3)
  assert sizes == sorted(sizes, reverse=True)


def test_a_batch_that_devices_cannot_share_is_refused():
  assert train.device_mesh(16).size == 8

  with pytest.raises(ValueError, match=r"12 clips per batch.* 8 devices"):
    train.device_mesh(12)


@pytest.mark.parametrize(("bad", "logged"), [(3, 4), (4, 4), (1, 4)])
def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path, bad, logged):
  with monitor.Monitor(tmp_path, "vae", 0, 10) as watch:
    for step in range(1, logged + 1):
      loss = np.float32(np.nan if step >= bad else 1)
      watch.step({"loss": loss, "other": np.float32(1)})
      if step == logged:
        with pytest.raises(FloatingPointError, match=f"nan at step {bad} .*"):
          watch.log(step)


def test_scalars_are_averaged_between_two_logs(tmp_path):
  with monitor.Monitor(tmp_path, "vae", 0, 4) as watch:
    for step in range(1, 5):
      watch.step({"loss": np.float32(step)})
      if step % 2 == 0:
        watch.log(step)

  records = monitor.read_records(tmp_path, "vae")
  assert [(r["step"], r["loss"]) for r in records] == [(2, 1.5), (4, 3.5)]


def test_lines_after_the_last_checkpoint_are_dropped(tmp_path):
  with monitor.Monitor(tmp_path, "vae", 0, 4) as watch:
    for step in (1, 2, 3):
      watch.step({"loss": np.float32(step)})
      watch.log(step)
  file = tmp_path / "metrics" / "vae.jsonl"
  file.write_text(file.read_text() + '{"step": 4, "lo')  # killed in the line

  with monitor.Monitor(tmp_path, "vae", 2, 4):
    pass

  records = monitor.read_records(tmp_path, "vae")
  assert [r["step"] for r in records] == [1, 2]


def test_a_run_whose_loss_is_not_finite_keeps_no_such_state(
  config, clips, monkeypatch
):
  nets = registry.architecture(config, 2)
  phase = nets.phases(config)[0]

  def make_bad_step(*args):
    del args

    def step(state, frozen, batch):
      del frozen, batch
      loss = np.float32(1.0 if state.step == 0 else np.nan)
      return state.replace(step=state.step + 1), {"loss": loss}

    return step

  monkeypatch.setattr(train, "make_train_step", make_bad_step)
  with pytest.raises(FloatingPointError, match=r"at step 2 .*learning_rate"):
    train.run(phase, nets, config, clips)

  with checkpoints.Checkpoints(config.workdir, "vae") as kept:
    assert kept.newest_step() == 1


def test_a_phase_without_its_forerunner_says_which_is_missing(config, clips):
  nets = registry.architecture(config, 2)
  conditional = nets.phases(config)[1]

  with pytest.raises(FileNotFoundError, match="train phase 'vae' first"):
    train.run(conditional, nets, config, clips)

"""The loop and its step, on toys."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from cmm_jax import checkpoints, monitor, programs, train, train_step
from cmm_jax.data import augment, pipeline, sources
from cmm_jax.models import registry
from cmm_jax.models.base import AXIS


def toy_networks():
  return {
    "one": {"params": jnp.float32(1.0)},
    "two": {"params": jnp.float32(2.0), "batch_stats": jnp.float32(0.0)},
  }


def toy_loss(networks, batch):
  """(mean over the batch of one * two * x) + frozen * one."""
  one, two = networks["one"]["params"], networks["two"]["params"]
  product = jnp.mean(one * two * batch["x"])
  loss = product + networks["frozen"]["params"] * one
  statistics = {"two": jax.lax.pmean(jnp.mean(batch["x"]), AXIS)}
  return loss, ({"product": product}, statistics)


@pytest.mark.parametrize("num_devices", [1, 2, 8])
def test_a_step_descends_the_mean_over_all_devices(num_devices):
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
  step = train_step.make_train_step(toy_loss, optax.sgd(0.1), mesh)
  state = train_step.create_state(toy_networks(), optax.sgd(0.1))
  batch = {"x": jnp.arange(8.0)}  # mean 3.5

  state, metrics = step(state, {"frozen": {"params": jnp.float32(5.0)}}, batch)

  assert state.step == 1
  # d/d one = two * 3.5 + frozen = 12;  d/d two = one * 3.5
  np.testing.assert_allclose(
    state.networks["one"]["params"], 1 - 0.1 * 12, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    state.networks["two"]["params"], 2 - 0.1 * 3.5, rtol=1e-6
  )
  np.testing.assert_allclose(state.networks["two"]["batch_stats"], 3.5)
  assert set(state.networks) == {"one", "two"}  # what is frozen is not kept
  assert metrics == {
    "loss": pytest.approx(12.0),
    "product": pytest.approx(7.0),
    "grad_norm_one": pytest.approx(12.0),
    "grad_norm_two": pytest.approx(3.5),
  }


def test_a_network_that_is_kept_is_read_and_stays():
  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
  optimizer = optax.adam(0.1)
  step = train_step.make_train_step(toy_loss, optimizer, mesh, kept=["two"])
  before = train_step.create_state(toy_networks(), optimizer)
  frozen = {"frozen": {"params": jnp.float32(5.0)}}

  state, metrics = step(before, frozen, {"x": jnp.arange(8.0)})

  assert metrics["product"] == pytest.approx(7.0)
  assert "grad_norm_two" not in metrics
  assert state.networks["two"] == {"params": 2.0, "batch_stats": 0.0}
  assert state.networks["one"]["params"] != 1.0
  assert state.opt_state["two"][0].count == 0


@pytest.mark.parametrize(
  ("epochs", "steps"),
  [
    (1, 16),  # 16 clips of 32 frames, 8 * 4 frames a step
    (0.5, 8),
    (1.01, 17),  # the last step is begun
    (0.001, 1),
    (0.0, 0),
  ],
)
def test_epochs_count_how_often_a_frame_is_seen(epochs, steps):
  settings = ml_collections.ConfigDict(
    dict(epochs=epochs, clips_per_batch=8, frames_per_clip=4)
  )

  assert programs.num_steps(settings, num_clips=16, num_frames=32) == steps


def test_the_learning_rate_falls_to_a_tenth():
  settings = ml_collections.ConfigDict(dict(learning_rate=0.5, beta1=0.0))
  optimizer = train_step.make_optimizer(settings, steps=10)
  state = optimizer.init(0.0)
  sizes = []
  for _ in range(11):
    update, state = optimizer.update(1.0, state)
    sizes.append(-float(update))  # Adam's step on a steady gradient: the rate

  np.testing.assert_allclose([sizes[0], sizes[10]], [0.5, 0.05], rtol=1e-3)
  assert sizes == sorted(sizes, reverse=True)


def test_a_batch_that_devices_cannot_share_is_refused():
  assert programs.device_mesh(16).size == 8

  with pytest.raises(ValueError, match=r"12 clips per batch.* 8 devices"):
    programs.device_mesh(12)


def numbered_clips():
  """Eight clips of two frames, each with its number for landmarks."""
  return [
    {
      "landmarks": np.full((2, 68, 2), number, np.float32),
      "action_units": np.zeros((2, 2), np.float32),
      "label": 0,
    }
    for number in range(8)
  ]


def toy_sampling():
  return pipeline.Sampling(
    clips_per_batch=8,
    frames_per_clip=1,
    augmentation=augment.Augmentation(),
    seed=0,
    image_size=64,
    with_frames=False,
  )


def numbers_loss(networks, batch):
  """one * two * mean of the clips' numbers, which is 3.5."""
  return toy_loss(networks, {"x": batch["first_points"][:, 0, 0]})


@pytest.mark.parametrize("placement", ["device", "stream"])
@pytest.mark.parametrize("num_devices", [1, 8])
def test_many_steps_in_one_dispatch_are_the_same_steps_one_by_one(
  num_devices, placement
):
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
  frozen = {"frozen": {"params": jnp.float32(5.0)}}
  ends = []
  for many_steps, dispatches in ((True, (3, 1)), (False, (1, 1, 1, 1))):
    source = sources.open_source(
      numbered_clips(), toy_sampling(), mesh, placement=placement
    )
    steps = train_step.make_train_steps(
      numbers_loss, optax.sgd(0.01), mesh, source, many_steps=many_steps
    )
    state = train_step.create_state(toy_networks(), optax.sgd(0.01))
    losses = []
    for count in dispatches:
      arrays = source.take(int(state.step), count)
      state, metrics = steps(state, frozen, arrays, jnp.int32(count))
      losses.append((float(metrics["loss"]), count))
      assert metrics["finite_steps"] == count
    mean = sum(loss * count for loss, count in losses) / 4
    ends.append((state.step, state.networks["one"]["params"], mean))

  assert ends[0][0] == ends[1][0] == 4
  np.testing.assert_allclose(ends[0][1:], ends[1][1:], rtol=1e-5)


def test_a_dispatch_counts_the_steps_before_the_first_loss_that_is_not_finite():
  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))

  def loss(networks, batch):  # 10, 8, 6, ..., then nan below 5
    one = networks["one"]["params"]
    value = jnp.where(one < 5, jnp.nan, one) + 0 * batch["label"].sum()
    return value, ({}, {})

  source = sources.open_source(
    numbered_clips(), toy_sampling(), mesh, placement="device"
  )
  steps = train_step.make_train_steps(
    loss, optax.sgd(2.0), mesh, source, many_steps=True
  )
  state = train_step.create_state(
    {"one": {"params": jnp.float32(10)}}, optax.sgd(2.0)
  )

  _, metrics = steps(state, {}, source.take(0, 7), jnp.int32(7))

  assert metrics["finite_steps"] == 3  # 10, 8 and 6
  assert np.isnan(metrics["loss"])


@pytest.mark.parametrize(
  ("step", "count"), [(0, 20), (20, 30), (60, 10), (100, 3), (101, 2)]
)
def test_a_dispatch_ends_where_something_is_logged_or_saved(step, count):
  every = ml_collections.ConfigDict(
    dict(log_every_steps=50, picture_every_steps=70, checkpoint_every_steps=20)
  )
  every.checkpoint_every_steps = 1000 if step else 20

  assert train.steps_to_stop(step, 103, every) == count
  assert train.steps_to_stop(step, 103, every, limit=2) == min(count, 2)


@pytest.mark.parametrize(("bad", "logged"), [(3, 4), (4, 4), (1, 4)])
def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path, bad, logged):
  with monitor.Monitor(tmp_path, "vae", 0, 10) as watch:
    for step in range(1, logged + 1):
      loss = np.float32(np.nan if step >= bad else 1)
      watch.add({"loss": loss, "other": np.float32(1)})
      if step == logged:
        with pytest.raises(FloatingPointError, match=f"nan at step {bad} .*"):
          watch.log(step)


def test_a_loss_that_is_not_finite_within_a_dispatch_stops_with_its_step(
  tmp_path,
):
  with monitor.Monitor(tmp_path, "vae", 0, 10) as watch:
    watch.add({"loss": np.float32(1), "finite_steps": 4}, 4)
    watch.add({"loss": np.float32(np.nan), "finite_steps": 2}, 5)
    with pytest.raises(FloatingPointError, match="nan at step 7 "):
      watch.log(9)


def test_scalars_are_averaged_over_the_steps_between_two_logs(tmp_path):
  with monitor.Monitor(tmp_path, "vae", 0, 6) as watch:
    for step in range(1, 3):
      watch.add({"loss": np.float32(step)})
    watch.log(2)
    watch.add({"loss": np.float32(1), "finite_steps": 3}, 3)  # three steps
    watch.add({"loss": np.float32(5), "finite_steps": 1}, 1)
    watch.log(6)

  records = monitor.read_records(tmp_path, "vae")
  assert [(r["step"], r["loss"]) for r in records] == [(2, 1.5), (6, 2.0)]


def test_lines_after_the_last_checkpoint_are_dropped(tmp_path):
  with monitor.Monitor(tmp_path, "vae", 0, 4) as watch:
    for step in (1, 2, 3):
      watch.add({"loss": np.float32(step)})
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
  model = registry.build(config, 2)
  phase = model.phases(config)[0]

  def make_bad_steps(*args, **kwargs):
    del args, kwargs

    def steps(state, frozen, split, count):
      del frozen, split
      loss = np.float32(1.0 if state.step == 0 else np.nan)
      return state.replace(step=state.step + count), {"loss": loss}

    return steps

  monkeypatch.setattr(programs, "make_train_steps", make_bad_steps)
  with pytest.raises(FloatingPointError, match=r"at step 2 .*learning_rate"):
    train.run(phase, model, config, clips)

  with checkpoints.Checkpoints(config.workdir, "vae") as saved:
    assert saved.newest_step() == 1


def test_a_phase_without_the_phase_before_it_says_which_is_missing(
  config, clips
):
  model = registry.build(config, 2)
  conditional = model.phases(config)[1]

  with pytest.raises(FileNotFoundError, match="train phase 'vae' first"):
    train.run(conditional, model, config, clips)

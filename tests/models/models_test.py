"""Each phase's loss: what it trains, what it leaves, on how many devices."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import landmarks, train_step
from cmm_jax.data import augment, pipeline
from cmm_jax.models import clusters, registry, regression, translation
from cmm_jax.models.base import AXIS

NUM_STEPS = 5
PHASES = ("vae", "conditional", "modes", "translator", "regressors")
# BatchNorm, the modes' shares of the batch, both players of the translator.
REACHING_OVER_DEVICES = ("vae", "modes", "modes_best_of_modes", "translator")


# One of Video-GAN's labels stands for the others, and "vae" for CRA-Net's.
MODEL_OF = {
  **dict.fromkeys(PHASES, "cmm_net"),
  # Nothing of ours, a batch shared out, a push that reads landmark images.
  "modes_as_printed": "cmm_net_as_printed",
  "modes_best_of_modes": "cmm_net_best_of_modes",
  "modes_push_on_landmark_images": "cmm_net_push_on_landmark_images",
  "cra_net": "cra_net",
  "video_gan_1": "video_gan",
}


def phase_named(name, dtype="float32"):
  return miniature.build_model(MODEL_OF[name], dtype)[1][name]


def step_length(name):
  """Shorter for the translator, which starts at the neutral face."""
  return 0.001 if name == "translator" else 0.005


def optimizer(name):
  # Not Adam, which makes steps of full length of gradients that are zero but
  # for rounding.
  return optax.chain(
    optax.clip_by_global_norm(1.0), optax.sgd(step_length(name))
  )


@functools.cache
def compiled(name, num_devices, dtype="float32"):
  """The phase's step, and where its state and its batch have to lie."""
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
  loss = phase_named(name, dtype).loss
  step = train_step.make_train_step(loss, optimizer(name), mesh)
  everywhere = NamedSharding(mesh, PartitionSpec())
  return step, everywhere, NamedSharding(mesh, PartitionSpec(AXIS))


def networks_of(phase):
  learnt, frozen = (
    miniature.first_networks(
      MODEL_OF[phase.checkpoint_name], tuple(sorted(names))
    )
    for names in (phase.trainable, phase.frozen)
  )
  return learnt, frozen


def taken(name, num_devices, batch, num_steps, dtype="float32"):
  """The state after some steps on one batch, and each step's scalars."""
  step, everywhere, split = compiled(name, num_devices, dtype)
  learnt, frozen = networks_of(phase_named(name))
  state = train_step.create_state(learnt, optimizer(name))
  state = jax.device_put(state, everywhere)
  frozen = jax.device_put(frozen, everywhere)
  batch = jax.device_put(batch, split)
  history = []
  for _ in range(num_steps):
    state, terms = step(state, frozen, batch)
    history.append(jax.device_get(terms))
  return jax.device_get(state), history


def sampled_batch(clips, clips_per_batch, frames_per_clip):
  sampling = pipeline.Sampling(
    clips_per_batch=clips_per_batch,
    frames_per_clip=frames_per_clip,
    augmentation=augment.Augmentation(mirror=True, stretch=0.04, color=0.1),
    seed=0,
    image_size=miniature.SIZE,
  )
  sample = functools.partial(pipeline.sample, sampling=sampling)
  num_modes = miniature.build_model()[0].modes.num_modes
  arrays = pipeline.to_arrays(clusters.ClusteredClips(clips, num_modes))
  return jax.device_get(jax.jit(sample)(arrays, jnp.int32(0)))


@pytest.fixture(scope="module")
def batch(clips):
  return sampled_batch(clips, 8, 2)


@pytest.fixture(scope="module")
def runs(clips, batch):
  """What `taken` gives for a phase on one device; each is run once."""
  whole = sampled_batch(clips, 4, miniature.NUM_FRAMES)

  def run(name):
    suits = whole if MODEL_OF[name] == "video_gan" else batch
    return taken(name, 1, suits, NUM_STEPS)

  return functools.cache(run)


@pytest.fixture(params=MODEL_OF)
def run(request, runs):
  """A phase, its networks before, its state after, its scalars by step."""
  phase = phase_named(request.param)
  state, history = runs(request.param)
  return phase, networks_of(phase)[0], state, history


def leaves(tree):
  paths = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in paths}


def test_the_loss_falls_on_one_repeated_batch(run):
  _, _, _, history = run

  assert all(np.isfinite(v) for terms in history for v in terms.values())
  assert history[-1]["loss"] < history[0]["loss"]


def test_every_weight_of_what_is_learnt_moves(run):
  phase, before, state, _ = run

  assert state.networks.keys() == phase.trainable.keys()
  assert state.step == NUM_STEPS
  for name in phase.trainable:
    old = leaves(before[name]["params"])
    new = leaves(state.networks[name]["params"])
    still = [path for path in old if np.array_equal(old[path], new[path])]
    assert not still, name


def test_running_statistics_move_where_the_network_is_trained_from_them(run):
  phase, before, state, _ = run

  for name, network in before.items():
    if "batch_stats" not in network:
      continue
    old = leaves(network["batch_stats"])
    new = leaves(state.networks[name]["batch_stats"])
    moved = {not np.array_equal(old[path], new[path]) for path in old}
    # From phase 2 on the VAE keeps the statistics that it is used with.
    assert moved == {name != "vae" or phase.name == "vae"}, name


@pytest.mark.parametrize("run", REACHING_OVER_DEVICES, indirect=True)
def test_eight_devices_end_where_one_does(run, batch):
  phase, _, one, history = run

  eight, others = taken(phase.checkpoint_name, 8, batch, NUM_STEPS)

  for name, value in history[0].items():
    np.testing.assert_allclose(others[0][name], value, rtol=2e-4, err_msg=name)
  found = leaves(eight.networks)
  for path, value in leaves(one.networks).items():
    atol = 0.04 * step_length(phase.name)
    np.testing.assert_allclose(
      found[path], value, rtol=1e-3, atol=atol, err_msg=path
    )


def test_noise_belongs_to_the_example_and_not_to_its_place(batch):
  turned = {name: np.roll(value, 1, axis=0) for name, value in batch.items()}

  (_, (one,)), (_, (other,)) = (taken("vae", 1, b, 1) for b in (batch, turned))

  for name, value in one.items():
    np.testing.assert_allclose(other[name], value, rtol=1e-4, err_msg=name)


def losses_with(name, batch, **settings):
  """A phase's losses in three steps, with other settings of the model."""
  config = miniature.config("nowhere", "nowhere")
  config.model.update(settings)
  model = registry.build(config, len(miniature.LABELS))
  (phase,) = (p for p in model.phases(config) if p.name == name)
  networks = {
    name: jax.jit(functools.partial(model.init, name))(jax.random.key(i))
    for i, name in enumerate(sorted((*phase.trainable, *phase.frozen)))
  }
  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
  step = train_step.make_train_step(phase.loss, optimizer(name), mesh)
  trainable = {network: networks[network] for network in phase.trainable}
  state = train_step.create_state(trainable, optimizer(name))
  images = phase.visualize(networks, batch)

  losses = []
  for _ in range(3):
    state, metrics = step(state, {"vae": networks["vae"]}, batch)
    losses.append(float(metrics["loss"]))
  return losses, images


@pytest.mark.parametrize("output", ["image", "residual"])
def test_other_forms_of_the_translator_train_too(batch, output):
  losses, _ = losses_with("translator", batch, translator_output=output)

  assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["translator", "regressors"])
def test_phases_train_where_faces_are_larger_than_landmark_images(name, batch):
  losses, images = losses_with(name, batch, landmark_image_size=32)

  assert losses[-1] < losses[0]
  for rows in images.values():  # faces and enlarged landmark images
    assert rows.shape == (4, 16, 64, 64, 3)
    assert jnp.all((rows >= 0) & (rows <= 1))


class _ConstantPoints(nn.Module):
  """Reads the same landmarks from any landmark image."""

  points: tuple
  image_size: int

  @nn.compact
  def __call__(self, images, train):
    points = jnp.asarray(self.points, jnp.float32)
    return jnp.broadcast_to(points, (len(images), *points.shape))


def test_landmark_errors_are_in_pixels_of_the_faces(batch):
  config = miniature.config("nowhere", "nowhere")
  config.model.landmark_image_size = 32
  model = registry.build(config, len(miniature.LABELS))
  networks = {
    name: jax.jit(functools.partial(model.init, name))(jax.random.key(0))
    for name in ("vae", "action_unit_regressor")
  }
  networks["landmark_regressor"] = {"params": {}, "batch_stats": {}}
  one = {name: jnp.asarray(value[:1]) for name, value in batch.items()}
  for name in ("frames", "points", "action_units", "times"):
    one[name] = one[name][:, :1]
  # In landmark images of half the faces' size, one pixel to the right.
  points = landmarks.rescale(one["points"][0, 0], 64, 32)
  points = tuple((x + 1, y) for x, y in points.tolist())
  objective = regression.RegressorObjective(
    _ConstantPoints(points, 32),
    model.action_unit_regressor.clone(axis_name=None),
    model.landmark_generator,
  )

  _, (metrics, _) = objective.loss(config.loss, networks, one)

  np.testing.assert_allclose(metrics["landmarks_px"], 2, rtol=1e-4)


@pytest.mark.parametrize("name", ["vae", "modes", "translator"])
def test_losses_in_bfloat16_agree_and_weights_stay_in_float32(name, batch):
  state, (found,) = taken(name, 1, batch, 1, "bfloat16")
  wanted_state, (wanted,) = taken(name, 1, batch, 1)

  for leaf in jax.tree.leaves(state.networks):  # the statistics too
    assert leaf.dtype == np.float32
  assert found.keys() == wanted.keys()
  losses = [term for term in wanted if not term.startswith("grad_norm")]
  for term in losses:
    # Eight bits of a mantissa are 0.4 %, a few layers one after another more.
    assert found[term] == pytest.approx(wanted[term], rel=0.05, abs=0.005), term
  assert any(found[term] != wanted[term] for term in losses)
  learnt, _ = networks_of(phase_named(name))
  for network, first in learnt.items():
    one, other = (
      np.concatenate(
        [
          np.ravel(now - before)
          for now, before in zip(
            jax.tree.leaves(after.networks[network]["params"]),
            jax.tree.leaves(first["params"]),
            strict=True,
          )
        ]
      )
      for after in (state, wanted_state)
    )
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    # An untrained BatchNorm amplifies differences of nearly equal embeddings.
    assert cosine > 0.5, network


@pytest.mark.parametrize("sequences_train_decoder", [False, True])
def test_sequences_train_the_decoder_only_if_asked_to(
  batch, sequences_train_decoder
):
  model, _ = miniature.build_model()
  generator = dataclasses.replace(
    model.landmark_generator, sequences_train_decoder=sequences_train_decoder
  )
  networks = miniature.first_networks("cmm_net", ("conditional", "vae"))
  shape = (len(batch["label"]), miniature.NUM_FRAMES, model.vae.embedding_dim)
  embeddings = jax.random.normal(jax.random.key(0), shape)
  posterior = (jnp.zeros((*batch["times"].shape, shape[-1])),) * 2

  @functools.partial(jax.grad, argnums=(0, 1))
  def gradients(networks, embeddings):
    reconstruction, *_ = generator.sequence_losses(
      networks, batch, embeddings, posterior
    )
    return jnp.mean(reconstruction)

  of_networks, of_embeddings = jax.jit(gradients)(networks, embeddings)

  assert np.any(of_embeddings)
  trained = [n for n, leaf in leaves(of_networks).items() if np.any(leaf)]
  assert any("decoder" in name for name in trained) == sequences_train_decoder
  assert bool(trained) == sequences_train_decoder


def test_instance_noise_is_for_the_discriminator_alone(batch):
  config = miniature.config("nowhere", "nowhere")
  model, _ = miniature.build_model()
  objective = translation.TranslatorObjective(
    model.translator.clone(axis_name=None),
    model.discriminator.clone(axis_name=None),
    model.landmark_generator,
  )
  names = ("discriminator", "translator", "vae")
  networks = miniature.first_networks("cmm_net", names)

  def metrics(instance_noise):
    config.loss.instance_noise = instance_noise
    loss = jax.jit(functools.partial(objective.loss, config.loss))
    return loss(networks, batch)[1][0]

  without, with_noise = metrics(0.0), metrics(0.5)

  np.testing.assert_allclose(with_noise["l1"], without["l1"], rtol=1e-6)
  for loss in ("discriminator", "adversarial"):
    assert abs(with_noise[loss] - without[loss]) > 1e-3

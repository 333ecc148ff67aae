"""Each phase's loss: what it trains, what it leaves, on how many devices."""

import dataclasses
import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import train, train_step
from cmm_jax.data import augment, pipeline
from cmm_jax.models import mode_bank, registry
from cmm_jax.models.base import AXIS, gan_losses

NUM_STEPS = 5
PHASES = ("vae", "conditional", "modes", "translator", "regressors")


@functools.cache
def built(name="cmm_net", dtype="float32"):
  """A model and its phases at miniature sizes; it uses no folders."""
  config = miniature.config("nowhere", "nowhere")
  config.model.dtype = dtype
  model = registry.build(config, len(miniature.LABELS), name)
  return model, {phase.checkpoint_name: phase for phase in model.phases(config)}


# One of Video-GAN's labels stands for the others, and "vae" for CRA-Net's.
MODEL_OF = {
  **dict.fromkeys(PHASES, "cmm_net"),
  # Between them: nothing of ours, and a push that reads landmark images.
  "modes_as_printed": "cmm_net_as_printed",
  "modes_push_on_landmark_images": "cmm_net_push_on_landmark_images",
  "cra_net": "cra_net",
  "video_gan_1": "video_gan",
}


def phase_named(name, dtype="float32"):
  return built(MODEL_OF[name], dtype)[1][name]


@functools.cache
def first_networks(model_name, names):
  model, _ = built(model_name)
  networks = {}
  for i, name in enumerate(names):
    init = jax.jit(functools.partial(model.init, name))
    networks[name] = jax.device_get(init(jax.random.key(i)))
  return networks


def optimizer():
  # Not Adam, which makes steps of full length of gradients that are zero but
  # for rounding. Short steps: the translator starts close to its goal.
  return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.005))


@functools.cache
def compiled(name, num_devices, dtype="float32"):
  """The phase's step, and where its state and its batch have to lie."""
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
  loss = phase_named(name, dtype).loss
  step = train_step.make_train_step(loss, optimizer(), mesh)
  everywhere = NamedSharding(mesh, PartitionSpec())
  return step, everywhere, NamedSharding(mesh, PartitionSpec(AXIS))


def networks_of(phase):
  learnt, frozen = (
    first_networks(MODEL_OF[phase.checkpoint_name], tuple(sorted(names)))
    for names in (phase.trainable, phase.frozen)
  )
  return learnt, frozen


def taken(name, num_devices, batch, num_steps, dtype="float32"):
  """The state after some steps on one batch, and each step's scalars."""
  step, everywhere, split = compiled(name, num_devices, dtype)
  learnt, frozen = networks_of(phase_named(name))
  state = train_step.create_state(learnt, optimizer())
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
  return jax.device_get(
    jax.jit(sample)(pipeline.to_arrays(clips), jnp.int32(0))
  )


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


# These hold all that reaches over devices: BatchNorm, both players of the
# translator, and the modes' shares of the batch.
@pytest.mark.parametrize("run", ["vae", "modes", "translator"], indirect=True)
def test_eight_devices_end_where_one_does(run, batch):
  phase, _, one, history = run

  eight, others = taken(phase.name, 8, batch, NUM_STEPS)

  for name, value in history[0].items():
    np.testing.assert_allclose(others[0][name], value, rtol=2e-4, err_msg=name)
  found = leaves(eight.networks)
  for path, value in leaves(one.networks).items():
    np.testing.assert_allclose(
      found[path], value, rtol=1e-3, atol=2e-4, err_msg=path
    )


def test_noise_belongs_to_the_example_and_not_to_its_place(batch):
  turned = {name: np.roll(value, 1, axis=0) for name, value in batch.items()}

  (_, (one,)), (_, (other,)) = (taken("vae", 1, b, 1) for b in (batch, turned))

  for name, value in one.items():
    np.testing.assert_allclose(other[name], value, rtol=1e-4, err_msg=name)


# ------------------------------------------------------------------- the record


@pytest.mark.parametrize("model", registry.MODELS)
def test_what_a_phase_needs_was_trained_before_it(model):
  trained = {}
  before = [built(name)[1].items() for name in registry.parse_names(model)]
  for name, phase in itertools.chain.from_iterable(before):
    for network, earlier in (*phase.trainable.items(), *phase.frozen.items()):
      if earlier is not None:
        assert network in trained[earlier], f"{name} takes {network}"
    assert not phase.trainable.keys() & phase.frozen.keys()
    trained[name] = set(phase.trainable)
  for phase, networks in built(model)[0].inference_networks().items():
    assert trained[phase] >= set(networks)


def test_a_model_that_does_not_exist_is_named_with_those_that_do():
  config = miniature.config("nowhere", "nowhere")

  with pytest.raises(
    ValueError, match=r"no model 'gan'; choose one of cmm_net, .*video_gan"
  ):
    registry.build(config, 2, "gan")


def test_the_order_is_the_papers():
  _, by_name = built()

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
  _, by_name = built("cmm_net_best_of_modes")

  assert list(by_name) == ["modes_best_of_modes"]
  assert (
    by_name["modes_best_of_modes"].trainable == built()[1]["modes"].trainable
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


# -------------------------------------------------------------------- baselines


class _Discriminator(nn.Module):
  """One weight, and a count of the examples that it has seen."""

  @nn.compact
  def __call__(self, x, train):
    seen = self.variable("batch_stats", "seen", jnp.zeros, ())
    seen.value += train * len(x)
    return self.param("weight", nn.initializers.constant(2.0), ()) * x


def test_each_player_descends_its_own_loss_alone():
  real, fake = jnp.array([[3.0]]), jnp.array([[0.5]])
  variables = _Discriminator().init(jax.random.key(0), real, False)

  def total(params, fake):
    metrics, statistics = gan_losses(
      _Discriminator(), {**variables, "params": params}, (real,), (fake,)
    )
    return metrics["adversarial"] + metrics["discriminator"], statistics

  (weight, face), statistics = jax.grad(total, (0, 1), has_aux=True)(
    variables["params"], fake
  )

  def sigmoid(x):
    return 1 / (1 + np.exp(-x))

  # The discriminator: d/dw [softplus(-w r) + softplus(w f)], and nothing of G's
  wanted = -3 * sigmoid(-6) + 0.5 * sigmoid(1)
  np.testing.assert_allclose(weight["weight"], wanted, rtol=1e-5)
  # The generator: d/df softplus(-w f)
  np.testing.assert_allclose(face, [[-2 * sigmoid(-1)]], rtol=1e-5)
  assert statistics["seen"] == 2  # one real, one fake


def test_a_video_gan_is_trained_for_each_label_on_its_clips(clips):
  _, by_name = built("video_gan")

  assert [p.label for p in by_name.values()] == [0, 1]
  for number, gan in enumerate(by_name.values()):
    seen = train.clips_of_label(clips, gan.label)
    assert len(seen) == len(clips) / 2
    assert {clip["label"] for clip in seen} == {number}


def test_a_video_gan_that_would_not_see_whole_clips_is_refused():
  config = miniature.config("nowhere", "nowhere")
  config.phases.video_gan.frames_per_clip = 8

  with pytest.raises(
    ValueError, match=r"frames_per_clip is 8.* set it to .*32"
  ):
    registry.build(config, 2, "video_gan").phases(config)


def test_each_face_gets_the_clip_of_its_labels_own_generator():
  model, _ = built("video_gan")
  first = first_networks("video_gan", ("generator",))
  variables = first["generator"]
  turned = variables | {
    "params": jax.tree.map(np.negative, variables["params"])
  }
  trained = {"video_gan_0": first, "video_gan_1": {"generator": turned}}
  faces = np.stack([miniature.clip(s, 0, 0)["frames"][0] for s in (0, 1)])
  generate = jax.jit(model.generate)

  images, clips = generate(
    trained, {"first_frame": faces, "label": np.array([0, 0])}
  )
  _, mixed = generate(
    trained, {"first_frame": faces, "label": np.array([0, 1])}
  )

  assert images is None and clips.shape == (2, 1, 32, 64, 64, 3)
  assert jnp.abs(clips).max() <= 1
  np.testing.assert_array_equal(mixed[0], clips[0])
  assert jnp.abs(mixed[1] - clips[1]).max() > 0.01


@pytest.mark.parametrize("output", ["image", "residual"])
def test_other_forms_of_the_translator_train_too(batch, output):
  config = miniature.config("nowhere", "nowhere")
  config.model.translator_output = output
  model = registry.build(config, len(miniature.LABELS))
  (phase,) = (p for p in model.phases(config) if p.name == "translator")
  names = ("discriminator", "translator", "vae")
  networks = {
    name: jax.jit(functools.partial(model.init, name))(jax.random.key(i))
    for i, name in enumerate(names)
  }
  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
  step = train_step.make_train_step(phase.loss, optimizer(), mesh)
  state = train_step.create_state(
    {name: networks[name] for name in phase.trainable}, optimizer()
  )

  losses = []
  for _ in range(3):
    state, metrics = step(state, {"vae": networks["vae"]}, batch)
    losses.append(float(metrics["loss"]))

  assert losses[-1] < losses[0]


def test_a_form_of_the_translator_that_does_not_exist_is_named():
  config = miniature.config("nowhere", "nowhere")
  config.model.translator_output = "flow"

  with pytest.raises(
    ValueError, match=r"translator_output is 'flow'; choose one of 'image', "
  ):
    registry.build(config, 2)


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


def test_a_type_to_compute_in_that_does_not_exist_is_named():
  with pytest.raises(ValueError, match=r"dtype is 'float16': set it to"):
    built(dtype="float16")

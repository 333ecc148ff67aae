"""The one training loop: state, mapped steps, checkpoints.

It knows no phase: what is trained, and by which loss, is the `Phase`'s matter.
"""

import functools
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from clu import parameter_overview
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import monitor, runtime
from cmm_jax.checkpoints import Checkpoints, load_networks
from cmm_jax.data import augment, pipeline
from cmm_jax.data.clips import Clips
from cmm_jax.models.base import AXIS, Model, Phase


class TrainState(struct.PyTreeNode):
  """All that changes while a phase trains, and all that a checkpoint holds."""

  step: jax.Array
  networks: dict[str, Any]  # name -> {"params", "batch_stats"}
  opt_state: dict[str, optax.OptState]


def run(
  phase: Phase, model: Model, config: ml_collections.ConfigDict, clips: Clips
) -> None:
  """Trains one phase to its end, from its last checkpoint if there is one.

  Raises:
    FloatingPointError: a loss is not finite.
    FileNotFoundError: a phase that it starts from has not been trained.
    ValueError: the batch does not suit the data or the devices.
  """
  settings, workdir = config.phases[phase.name], config.workdir
  clips = clips_of_label(clips, phase.label)
  steps = num_steps(settings, len(clips), config.data.num_frames)
  with Checkpoints(
    workdir, phase.checkpoint_name, config.train.max_to_keep
  ) as checkpoints:
    if checkpoints.newest_step() == steps:
      print(f"Phase {phase.checkpoint_name} is trained ({steps} steps).")
      return
    sampling = make_sampling(phase, config)
    pipeline.check_batch(sampling, len(clips))
    mesh = device_mesh(settings.clips_per_batch)
    optimizer = make_optimizer(settings, steps)
    state = _initial_state(phase, model, config, optimizer)
    start, state = _restore(checkpoints, state)
    frozen = load_networks(workdir, phase.frozen) if phase.frozen else {}
    split = pipeline.to_arrays(clips, with_frames=phase.with_frames)
    replicated = NamedSharding(mesh, PartitionSpec())
    state, frozen, split = jax.device_put((state, frozen, split), replicated)
    if start == 0:
      for name in phase.trainable:
        params = state.networks[name]["params"]
        overview = parameter_overview.get_parameter_overview(
          params, include_stats=False
        )
        print(f"{name}\n{overview}")
    train_steps = make_train_steps(
      phase.loss,
      optimizer,
      mesh,
      sampling,
      many_steps=_many_steps_per_dispatch(),
    )
    _run_steps(
      phase,
      config,
      checkpoints,
      train_steps,
      sampling,
      steps,
      state,
      frozen,
      split,
    )


def _run_steps(
  phase,
  config,
  checkpoints,
  train_steps,
  sampling,
  total,
  state,
  frozen,
  split,
):
  """Runs the steps, and stops to log, visualize and save."""
  every = config.train
  step = start = int(state.step)
  visualize = jax.jit(phase.visualize)
  shown = jax.jit(functools.partial(pipeline.sample, sampling=sampling))(
    split, jnp.int32(0)
  )
  shown = jax.device_get(shown)
  with monitor.Monitor(
    config.workdir, phase.checkpoint_name, start, total, every.profile
  ) as logger:
    while step < total:
      count = (
        steps_to_stop(step, total, every) if _many_steps_per_dispatch() else 1
      )
      state, metrics = train_steps(state, frozen, split, jnp.int32(count))
      step += count
      logger.add(metrics, count)
      last = step == total
      save_now = last or step % every.checkpoint_every_steps == 0
      # A state whose loss is not finite must not be saved: `log` raises.
      if save_now or step % every.log_every_steps == 0:
        logger.log(step)
      if last or step % every.picture_every_steps == 0:
        networks = jax.device_get({**frozen, **state.networks})
        logger.show(step, visualize(networks, shown))
      if save_now:
        checkpoints.save(step, state.networks, state.opt_state)


def _many_steps_per_dispatch() -> bool:
  """Whether one dispatch takes all steps up to the next stop.

  Not on a CPU, where a step takes far longer than its dispatch.
  """
  return jax.default_backend() != "cpu"


def steps_to_stop(
  step: int, total: int, every: ml_collections.ConfigDict
) -> int:
  """The number of steps up to the next one that logs, visualizes or saves."""
  stops = (
    every.log_every_steps,
    every.picture_every_steps,
    every.checkpoint_every_steps,
  )
  return min(total - step, *(stop - step % stop for stop in stops))


def num_steps(
  settings: ml_collections.ConfigDict, num_clips: int, num_frames: int
) -> int:
  """Steps until the loss has seen every frame `settings.epochs` times."""
  frames_per_step = settings.clips_per_batch * settings.frames_per_clip
  frames = settings.epochs * num_clips * num_frames
  return max(1, math.ceil(frames / frames_per_step))


def make_sampling(
  phase: Phase, config: ml_collections.ConfigDict
) -> pipeline.Sampling:
  """How the phase's batches are sampled."""
  settings, data = config.phases[phase.name], config.data
  return pipeline.Sampling(
    clips_per_batch=settings.clips_per_batch,
    frames_per_clip=settings.frames_per_clip,
    augmentation=augment.Augmentation(
      mirror=data.mirror,
      stretch=data.stretch,
      shift=data.shift,
      color=data.color,
      parts=data.parts,
    ),
    seed=config.seed + _stable_hash(phase.checkpoint_name),
    image_size=data.image_size,
    with_frames=phase.with_frames,
  )


def make_optimizer(
  settings: ml_collections.ConfigDict, steps: int
) -> optax.GradientTransformation:
  """Adam; a cosine decays the learning rate to a tenth (ours)."""
  rate = optax.cosine_decay_schedule(settings.learning_rate, steps, alpha=0.1)
  return optax.adam(rate, b1=settings.beta1)


def device_mesh(clips_per_batch: int) -> Mesh:
  """All devices along the one axis over which the batch is split.

  Raises:
    ValueError: the batch cannot be split evenly.
  """
  devices = jax.devices()
  if clips_per_batch % len(devices):
    raise ValueError(
      f"{clips_per_batch} clips per batch cannot be split over {len(devices)} "
      "devices; make clips_per_batch a multiple."
    )
  return Mesh(np.array(devices), (AXIS,))


def create_state(
  networks: Mapping[str, Any], optimizer: optax.GradientTransformation
) -> TrainState:
  """The state before the first step."""
  opt_state = {n: optimizer.init(v["params"]) for n, v in networks.items()}
  return TrainState(jnp.zeros((), jnp.int32), dict(networks), opt_state)


def make_train_step(
  loss: Callable[..., Any], optimizer: optax.GradientTransformation, mesh: Mesh
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Returns `step(state, frozen, batch) -> (state, metrics)`.

  The batch is split over the mesh's one axis. Gradients are averaged over it,
  and every random number belongs to an example, so the result does not depend
  on the number of devices. Networks outside `state` are not trained.
  """
  update = functools.partial(_update, loss, optimizer, mesh)
  return _compile(update, mesh, PartitionSpec(AXIS))


def make_train_steps(
  loss: Callable[..., Any],
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  sampling: pipeline.Sampling,
  *,
  many_steps: bool,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Returns `steps(state, frozen, split, count) -> (state, metrics)`.

  One dispatch samples and takes `count` steps (int32 []) from a split that
  lies on every device; each device makes its own part of the batch. The
  metrics are means over the steps, beside "finite_steps", how many steps had a
  finite loss before the first that had not.

  Args:
    loss: the phase's loss.
    optimizer: of all networks.
    mesh: the devices.
    sampling: how batches are sampled.
    many_steps: whether `count` counts; the program takes one step otherwise.
      XLA's CPU compiler runs the body of a loop several times slower (jaxlib
      0.10.2).
  """
  per_device = sampling.clips_per_batch // mesh.size

  def one_step(state, frozen, split):
    first = jax.lax.axis_index(AXIS) * per_device
    batch = pipeline.sample(
      split, state.step, sampling, first=first, count=per_device
    )
    state, metrics = _update(loss, optimizer, mesh, state, frozen, batch)
    return state, metrics, jnp.isfinite(metrics["loss"])

  def take_one_step(state, frozen, split, count):
    del count
    state, metrics, finite = one_step(state, frozen, split)
    return state, {**metrics, "finite_steps": finite.astype(jnp.int32)}

  def take_steps(state, frozen, split, count):
    def body(_, carry):
      state, total, finite_steps, all_finite = carry
      state, metrics, finite = one_step(state, frozen, split)
      all_finite &= finite
      total = jax.tree.map(jnp.add, total, metrics)
      return state, total, finite_steps + all_finite, all_finite

    _, shapes, _ = jax.eval_shape(one_step, state, frozen, split)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    carry = state, zeros, jnp.int32(0), jnp.bool_(True)
    state, total, finite_steps, _ = jax.lax.fori_loop(0, count, body, carry)
    metrics = jax.tree.map(lambda value: value / count, total)
    return state, {**metrics, "finite_steps": finite_steps}

  function = take_steps if many_steps else take_one_step
  return _compile(function, mesh, PartitionSpec(), PartitionSpec())


def _update(loss, optimizer, mesh, state, frozen, batch):
  """One step on this device's part of the batch."""

  def average(tree):
    # On one device XLA would copy all that it is to average.
    return jax.lax.pmean(tree, AXIS) if mesh.size > 1 else tree

  def loss_of(params):
    trained = {n: {**v, "params": params[n]} for n, v in state.networks.items()}
    return loss({**frozen, **trained}, batch)

  params = {n: v["params"] for n, v in state.networks.items()}
  gradient = jax.value_and_grad(loss_of, has_aux=True)
  (value, (metrics, statistics)), grads = gradient(params)
  grads = average(grads)
  metrics = {"loss": value, **metrics}

  networks, opt_state = {}, {}
  for name, grad in grads.items():
    updates, opt_state[name] = optimizer.update(
      grad, state.opt_state[name], params[name]
    )
    networks[name] = {
      **state.networks[name],
      "params": optax.apply_updates(params[name], updates),
    }
    if name in statistics:
      networks[name]["batch_stats"] = statistics[name]
    metrics[f"grad_norm_{name}"] = optax.tree.norm(grad)
  return TrainState(state.step + 1, networks, opt_state), average(metrics)


def _compile(function, mesh, *batch_specs):
  """Maps `function(state, frozen, *batch)` over the mesh and compiles it."""
  everywhere = PartitionSpec()
  mapped = jax.shard_map(
    function,
    mesh=mesh,
    in_specs=(everywhere, everywhere, *batch_specs),
    out_specs=everywhere,
    # Replication is seen to by the averages; the check would need a cast in
    # every scan of every network.
    check_vma=False,
  )
  options = runtime.compiler_options(mesh.devices.flat[0].platform)
  return jax.jit(mapped, donate_argnums=0, compiler_options=options)


def clips_of_label(clips: Clips, label: int | None) -> Any:
  """The clips of one label, or all of them if it is None."""
  if label is None:
    return clips
  return [clips[i] for i in range(len(clips)) if clips[i]["label"] == label]


def _initial_state(phase, model, config, optimizer):
  """Initializes networks at random or from earlier phases."""
  earlier = {n: p for n, p in phase.trainable.items() if p is not None}
  networks = load_networks(config.workdir, earlier) if earlier else {}
  key = jax.random.fold_in(
    jax.random.key(config.seed), _stable_hash(phase.checkpoint_name)
  )
  for name in phase.trainable:
    if name not in networks:
      init = functools.partial(model.init, name)
      networks[name] = jax.jit(init)(
        jax.random.fold_in(key, _stable_hash(name))
      )
  return create_state(networks, optimizer)


def _restore(checkpoints, state):
  """The newest saved state, or the given one at step 0."""
  restored = checkpoints.restore(state.networks, state.opt_state)
  if restored is None:
    return 0, state
  step, networks, opt_state = restored
  print(f"Phase {checkpoints.phase} goes on after step {step}.")
  return step, TrainState(jnp.int32(step), networks, opt_state)


def _stable_hash(name: str) -> int:
  """A number that is the same in every process."""
  return zlib.crc32(name.encode()) % 2**31

"""The one training loop: state, mapped step, checkpoints. Knows no phase."""

import functools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
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
from cmm_jax.data import pipeline
from cmm_jax.models.registry import AXIS, Architecture, Phase


class TrainState(struct.PyTreeNode):
  """All that changes while a phase trains, and all that a checkpoint holds."""

  step: jax.Array
  networks: dict[str, Any]  # name -> {"params", "batch_stats"}
  opt_state: dict[str, optax.OptState]


def run(
  phase: Phase,
  nets: Architecture,
  config: ml_collections.ConfigDict,
  clips: pipeline.Clips,
) -> None:
  """Trains one phase to its end, from its last checkpoint if there is one.

  Raises:
    FloatingPointError: a loss is not finite.
    FileNotFoundError: an earlier phase that it needs has not been trained.
    ValueError: the batch does not suit the data or the devices.
  """
  settings, workdir = config.phases[phase.name], config.workdir
  clips = _seen_by(phase, clips)
  steps = num_steps(settings, len(clips), config.data.num_frames)
  with Checkpoints(
    workdir, phase.folder, config.train.max_to_keep
  ) as checkpoints:
    if checkpoints.newest_step() == steps:
      print(f"Phase {phase.folder} is trained ({steps} steps).")
      return
    mesh = device_mesh(settings.clips_per_batch)
    optimizer = make_optimizer(settings, steps)
    state = _first_state(phase, nets, config, optimizer)
    start, state = _resume(checkpoints, state)
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    frozen = load_networks(workdir, phase.reads) if phase.reads else {}
    frozen = jax.device_put(frozen)
    if start == 0:
      for name in phase.learns:
        params = state.networks[name]["params"]
        overview = parameter_overview.get_parameter_overview(
          params, include_stats=False
        )
        print(f"{name}\n{overview}")
    _loop(phase, config, clips, checkpoints, mesh, optimizer, state, frozen)


def _loop(phase, config, clips, checkpoints, mesh, optimizer, state, frozen):
  settings, every = config.phases[phase.name], config.train
  steps = num_steps(settings, len(clips), config.data.num_frames)
  start = int(state.step)
  train_step = make_train_step(phase.loss, optimizer, mesh)
  show = jax.jit(phase.show)
  batches = _device_batches(phase, config, clips, mesh, start)
  shown = None
  with monitor.Monitor(
    config.workdir, phase.folder, start, steps, every.profile
  ) as watch:
    for step in range(start + 1, steps + 1):
      batch = next(batches)
      shown = batch if shown is None else shown
      state, terms = train_step(state, frozen, batch)
      watch.step(terms)
      last = step == steps
      if last or step % every.log_every_steps == 0:
        watch.log(step)
      if last or step % every.picture_every_steps == 0:
        networks = jax.device_get({**frozen, **state.networks})
        watch.show(step, show(networks, jax.device_get(shown)))
      if last or step % every.checkpoint_every_steps == 0:
        if step % every.log_every_steps and not last:
          watch.log(step)  # a state with a loss of nan must not be kept
        checkpoints.save(step, state.networks, state.opt_state)


def num_steps(
  settings: ml_collections.ConfigDict, num_clips: int, num_frames: int
) -> int:
  """Steps until the loss has seen every frame `settings.epochs` times."""
  seen = settings.clips_per_batch * settings.frames_per_clip
  return max(1, math.ceil(settings.epochs * num_clips * num_frames / seen))


def make_optimizer(
  settings: ml_collections.ConfigDict, steps: int
) -> optax.GradientTransformation:
  """Adam, its learning rate falling to a tenth by a cosine (ours)."""
  rate = optax.cosine_decay_schedule(settings.learning_rate, steps, alpha=0.1)
  return optax.adam(rate, b1=settings.beta1)


def device_mesh(clips_per_batch: int) -> Mesh:
  """All devices along the one axis that the batch is split over.

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
  """Returns `step(state, frozen, batch) -> (state, scalars)`.

  The batch is split over the mesh's one axis. Gradients are averaged over it
  and every random number belongs to an example, so the result does not depend
  on the number of devices. A network outside `state` cannot move.
  """

  def average(tree):
    # On one device XLA would copy all that it is to average.
    return jax.lax.pmean(tree, AXIS) if mesh.size > 1 else tree

  def step(state: TrainState, frozen, batch):
    def loss_of(params):
      learnt = {
        n: {**v, "params": params[n]} for n, v in state.networks.items()
      }
      return loss({**frozen, **learnt}, batch)

    params = {n: v["params"] for n, v in state.networks.items()}
    gradient = jax.value_and_grad(loss_of, has_aux=True)
    (value, (terms, statistics)), grads = gradient(params)
    grads = average(grads)
    terms = {"loss": value, **terms}

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
      terms[f"grad_norm_{name}"] = optax.tree.norm(grad)
    state = TrainState(state.step + 1, networks, opt_state)
    return state, average(terms)

  everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
  mapped = jax.shard_map(
    step,
    mesh=mesh,
    in_specs=(everywhere, everywhere, split),
    out_specs=everywhere,
    # Replication is seen to by the averages above; the check would need a cast
    # in every scan of every network.
    check_vma=False,
  )
  options = runtime.compiler_options(mesh.devices.flat[0].platform)
  return jax.jit(mapped, donate_argnums=0, compiler_options=options)


def _seen_by(phase, clips):
  """The clips of the phase's label, where it has one."""
  if phase.label is None:
    return clips
  return [
    clips[i] for i in range(len(clips)) if clips[i]["label"] == phase.label
  ]


def _first_state(phase, nets, config, optimizer):
  """Weights from scratch or from earlier phases."""
  earlier = {n: p for n, p in phase.learns.items() if p is not None}
  networks = load_networks(config.workdir, earlier) if earlier else {}
  key = jax.random.fold_in(
    jax.random.key(config.seed), _stable_number(phase.folder)
  )
  for name in phase.learns:
    if name not in networks:
      init = functools.partial(nets.init, name)
      networks[name] = jax.jit(init)(
        jax.random.fold_in(key, _stable_number(name))
      )
  return create_state(networks, optimizer)


def _resume(checkpoints, state):
  """The newest saved state, or the given one at step 0."""
  restored = checkpoints.restore(state.networks, state.opt_state)
  if restored is None:
    return 0, state
  step, networks, opt_state = restored
  print(f"Phase {checkpoints.phase} goes on after step {step}.")
  return step, TrainState(jnp.int32(step), networks, opt_state)


def _device_batches(phase, config, clips, mesh, start) -> Iterator[Any]:
  settings = config.phases[phase.name]
  augmentation = pipeline.Augmentation(
    mirror=config.data.mirror,
    stretch=config.data.stretch,
    shift=config.data.shift,
    colour=config.data.colour,
    parts=config.data.parts,
  )
  sharding = NamedSharding(mesh, PartitionSpec(AXIS))
  for batch in pipeline.batches(
    clips,
    clips_per_batch=settings.clips_per_batch,
    frames_per_clip=settings.frames_per_clip,
    augmentation=augmentation,
    seed=config.seed + _stable_number(phase.folder),
    start=start,
    with_frames=phase.with_frames,
  ):
    yield {
      name: jax.make_array_from_process_local_data(sharding, value)
      for name, value in batch.items()
    }


def _stable_number(name: str) -> int:
  """A number that belongs to a name, the same in every process."""
  return zlib.crc32(name.encode()) % 2**31

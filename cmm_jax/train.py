"""The one training loop.

It knows no phase: what is trained, and by which loss, is the `Phase`'s matter.
"""

import functools
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from clu import parameter_overview
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import monitor, preemption, runtime, weights
from cmm_jax.checkpoints import Checkpoints, load_networks
from cmm_jax.data import augment, pipeline
from cmm_jax.data.clips import Clips
from cmm_jax.models.base import AXIS, Model, Phase
from cmm_jax.train_step import (
  TrainState,
  create_state,
  make_optimizer,
  make_train_steps,
)


def run(
  phase: Phase, model: Model, config: ml_collections.ConfigDict, clips: Clips
) -> None:
  """Trains one phase to its end, from its last checkpoint if there is one.

  Raises:
    FloatingPointError: a loss is not finite.
    PreemptedError: SIGTERM arrived within `preemption.watch`.
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


def check(
  models: Iterable[tuple[Model, Sequence[Phase]]],
  config: ml_collections.ConfigDict,
  clips: Clips,
) -> None:
  """Checks all phases against the data and the devices, before any work.

  Args:
    models: each with its phases.
    config: of the run, which `config_check` has found right by itself.
    clips: of the training split.

  Raises:
    FileNotFoundError, ValueError: a phase could not be trained.
  """
  for model, phases in models:
    given = _initial_weights(model, config)
    for phase in phases:
      chosen = clips_of_label(clips, phase.label)
      if not len(chosen):
        raise ValueError(
          f"Phase {phase.checkpoint_name} trains on the clips with the label "
          f"{clips.labels[phase.label]!r}, and {config.data.name} has none in "
          "its split for training; train another model, or build the dataset "
          "with such clips."
        )
      try:
        pipeline.check_batch(make_sampling(phase, config), len(chosen))
        device_mesh(config.phases[phase.name].clips_per_batch)
      except ValueError as error:
        raise ValueError(f"config.phases.{phase.name}: {error}") from error
      for name, earlier in phase.trainable.items():
        if earlier is None and name in given:
          init = functools.partial(model.init, name)
          expected = jax.eval_shape(init, jax.random.key(0))
          _check_shapes(name, given[name], expected)


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
  options = runtime.compiler_options()
  visualize = jax.jit(phase.visualize, compiler_options=options)
  sample = functools.partial(pipeline.sample, sampling=sampling)
  sample = jax.jit(sample, compiler_options=options)
  shown = jax.device_get(sample(split, jnp.int32(0)))
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
      preempted = preemption.requested() and not last
      save_now = last or preempted or step % every.checkpoint_every_steps == 0
      # A state whose loss is not finite must not be saved: `log` raises.
      if save_now or step % every.log_every_steps == 0:
        logger.log(step)
      if last or (step % every.picture_every_steps == 0 and not preempted):
        networks = jax.device_get({**frozen, **state.networks})
        logger.show(step, visualize(networks, shown))
      if save_now:
        checkpoints.save(step, state.networks, state.opt_state)
      if preempted:
        raise preemption.PreemptedError(
          f"Stopped by SIGTERM after step {step} of phase "
          f"{phase.checkpoint_name}, which is saved; the same command resumes."
        )


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
      light=data.light,
      blur=data.blur,
      compression=data.compression,
      parts=data.parts,
    ),
    seed=config.seed + _stable_hash(phase.checkpoint_name),
    image_size=data.image_size,
    with_frames=phase.with_frames,
  )


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


def clips_of_label(clips: Clips, label: int | None) -> Any:
  """The clips of one label, or all of them if it is None."""
  if label is None:
    return clips
  return [clips[i] for i in range(len(clips)) if clips[i]["label"] == label]


def _initial_state(phase, model, config, optimizer):
  """Initializes networks at random or from earlier phases."""
  earlier = {n: p for n, p in phase.trainable.items() if p is not None}
  networks = load_networks(config.workdir, earlier) if earlier else {}
  given = _initial_weights(model, config)
  key = jax.random.fold_in(
    jax.random.key(config.seed), _stable_hash(phase.checkpoint_name)
  )
  for name in phase.trainable:
    if name not in networks:
      init = functools.partial(model.init, name)
      init = jax.jit(init, compiler_options=runtime.compiler_options())
      networks[name] = init(jax.random.fold_in(key, _stable_hash(name)))
      if name in given:
        _check_shapes(name, given[name], networks[name])
        networks[name] = given[name]
  return create_state(networks, optimizer)


def _initial_weights(model, config):
  """The networks that `config.init_from` names, for a model that can use them.

  Raises:
    FileNotFoundError, ValueError: as for `weights.read`.
  """
  if not config.init_from or not model.fine_tunes:
    return {}
  source = None if config.init_from == "weights" else config.init_from
  return weights.read(source).networks


def _check_shapes(name, given, expected):
  """Raises a ValueError unless given variables have the expected shapes."""
  given, expected = (
    traverse_util.flatten_dict(jax.tree.map(np.shape, tree), sep="/")
    for tree in (given, expected)
  )
  for array in sorted(given.keys() | expected.keys()):
    if given.get(array) != expected.get(array):
      raise ValueError(
        f"config.init_from: {name}/{array} has the shape {given.get(array)} "
        f"in the file, and these settings want {expected.get(array)}; use the "
        "config that the weights were trained with (configs/photos.py for the "
        "shipped ones), or leave init_from empty."
      )


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

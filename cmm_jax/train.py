"""The one training loop.

It knows no phase: what is trained, and by which loss, is the `Phase`'s matter.
"""

import functools
import math
import zlib
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from clu import parameter_overview
from flax import traverse_util
from jax.sharding import Mesh

from cmm_jax import distributed, monitor, preemption, runtime, weights
from cmm_jax.checkpoints import Checkpoints, load_networks
from cmm_jax.data import augment, pipeline, sources
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
  clips = _clips_of(phase, clips)
  steps = num_steps(settings, len(clips), config.data.num_frames)
  with Checkpoints(
    workdir, phase.checkpoint_name, config.train.max_to_keep
  ) as checkpoints:
    if checkpoints.newest_step() == steps:
      if distributed.is_main_process():
        print(f"Phase {phase.checkpoint_name} is trained ({steps} steps).")
      return
    sampling = make_sampling(phase, config)
    pipeline.check_batch(sampling, len(clips))
    mesh = device_mesh(settings.clips_per_batch)
    optimizer = make_optimizer(settings, steps)
    state = _initial_state(phase, model, config, optimizer)
    start, state = _restore(checkpoints, state)
    frozen = load_networks(workdir, phase.frozen) if phase.frozen else {}
    many_steps = _many_steps_per_dispatch()
    source = sources.open_source(
      clips,
      sampling,
      mesh,
      placement=config.train.placement,
      start=start,
      many_steps=many_steps,
    )
    state, frozen = sources.replicate((state, frozen), mesh)
    if start == 0 and distributed.is_main_process():
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
      source,
      settings.clips_per_batch,
      many_steps=many_steps,
    )
    show = _make_show(phase, sources.first_batch(clips, sampling))
    _run_steps(
      phase,
      config,
      checkpoints,
      train_steps,
      source,
      steps,
      state,
      frozen,
      show,
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
      chosen = _clips_of(phase, clips)
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


def _make_show(phase, batch):
  """Returns a function that makes the phase's pictures of its first batch."""
  visualize = jax.jit(
    phase.visualize, compiler_options=runtime.compiler_options()
  )
  return lambda networks: visualize(jax.device_get(networks), batch)


def _run_steps(
  phase, config, checkpoints, train_steps, source, total, state, frozen, show
):
  """Runs the steps, and stops to log, show pictures and save."""
  every = config.train
  step = start = int(state.step)
  writes = distributed.is_main_process()
  with monitor.Monitor(
    config.workdir,
    phase.checkpoint_name,
    start,
    total,
    profile=every.profile,
    writes=writes,
  ) as logger:
    while step < total:
      count = 1
      if _many_steps_per_dispatch():
        count = steps_to_stop(step, total, every, source.max_steps)
      arrays = source.take(count)
      state, metrics = train_steps(state, frozen, arrays, jnp.int32(count))
      step += count
      logger.add(metrics, count)
      last = step == total
      preempted = distributed.stop_requested()
      save_now = last or preempted or step % every.checkpoint_every_steps == 0
      # A state whose loss is not finite must not be saved: `log` raises.
      if save_now or step % every.log_every_steps == 0:
        logger.log(step)
      pictures = last or step % every.picture_every_steps == 0
      if writes and pictures and not preempted:
        logger.show(step, show({**frozen, **state.networks}))
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
  step: int,
  total: int,
  every: ml_collections.ConfigDict,
  limit: int | None = None,
) -> int:
  """The number of steps up to the next one that logs, visualizes or saves.

  Args:
    step: the steps so far.
    total: the steps of the phase.
    every: `config.train`.
    limit: the most steps, if there is a limit.
  """
  stops = (
    every.log_every_steps,
    every.picture_every_steps,
    every.checkpoint_every_steps,
  )
  count = min(total - step, *(stop - step % stop for stop in stops))
  return count if limit is None else min(count, limit)


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

  Those of a process lie beside each other.

  Raises:
    ValueError: the batch cannot be split evenly.
  """
  devices = jax.devices()
  if clips_per_batch % len(devices):
    raise ValueError(
      f"{clips_per_batch} clips per batch cannot be split over {len(devices)} "
      "devices; make clips_per_batch a multiple."
    )
  devices = sorted(
    devices, key=lambda device: (device.process_index, device.id)
  )
  return Mesh(np.array(devices), (AXIS,))


def _clips_of(phase, clips):
  """The clips that a phase trains on."""
  return clips if phase.label is None else clips.with_label(phase.label)


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
  if distributed.is_main_process():
    print(f"Phase {checkpoints.phase} goes on after step {step}.")
  return step, TrainState(jnp.int32(step), networks, opt_state)


def _stable_hash(name: str) -> int:
  """A number that is the same in every process."""
  return zlib.crc32(name.encode()) % 2**31

"""The one training loop.

It knows no phase: what is trained, and by which loss, is the `Phase`'s matter.
"""

import functools
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from clu import parameter_overview
from flax import traverse_util

from cmm_jax import (
  distributed,
  monitor,
  preemption,
  programs,
  runtime,
  weights,
)
from cmm_jax.checkpoints import Checkpoints, is_saved, load_networks
from cmm_jax.data import pipeline, sources
from cmm_jax.data.clips import Clips
from cmm_jax.models.base import Model, Phase
from cmm_jax.train_step import TrainState, create_state, make_optimizer


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
  labels = clips.labels
  clips = programs.clips_of(phase, clips)
  steps = programs.num_steps(settings, len(clips), config.data.num_frames)
  with Checkpoints(
    workdir, phase.checkpoint_name, config.train.max_to_keep
  ) as checkpoints:
    # Read, for what follows may start from a checkpoint that is damaged.
    if checkpoints.newest_step() == steps and _is_intact(checkpoints, steps):
      if distributed.is_main_process():
        print(f"Phase {phase.checkpoint_name} is trained ({steps} steps).")
      return
    if steps == 0:
      optimizer = make_optimizer(settings, 1)
      state = _initial_state(phase, model, config, labels, optimizer)
      checkpoints.save(0, state.networks, state.opt_state)
      if distributed.is_main_process():
        print(f"Phase {phase.checkpoint_name} keeps the weights it was given.")
      return
    program = programs.build(phase, config, clips)
    state = _initial_state(phase, model, config, labels, program.optimizer)
    start, state = _restore(checkpoints, state)
    frozen = load_networks(workdir, phase.frozen) if phase.frozen else {}
    state, frozen = sources.replicate((state, frozen), program.mesh)
    if start == 0 and distributed.is_main_process():
      for name in phase.trainable:
        params = state.networks[name]["params"]
        overview = parameter_overview.get_parameter_overview(
          params, include_stats=False
        )
        print(f"{name}\n{overview}")
    batch = sources.first_batch(clips, program.sampling)
    _run_steps(phase, config, checkpoints, program, steps, state, frozen, batch)


def is_done(
  phase: Phase, model: Model, config: ml_collections.ConfigDict, clips: Clips
) -> bool:
  """Whether the phase's last step is saved; the checkpoint is not read."""
  del model
  steps = programs.num_steps(
    config.phases[phase.name],
    len(programs.clips_of(phase, clips)),
    config.data.num_frames,
  )
  return is_saved(config.workdir, phase.checkpoint_name, steps)


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
    given = _initial_weights(model, config, clips.labels)
    for phase in phases:
      chosen = programs.clips_of(phase, clips)
      if not len(chosen):
        raise ValueError(
          f"Phase {phase.checkpoint_name} trains on the clips with the label "
          f"{clips.labels[phase.label]!r}, and {config.data.name} has none in "
          "its split for training; train another model, or build the dataset "
          "with such clips."
        )
      try:
        pipeline.check_batch(programs.make_sampling(phase, config), len(chosen))
        programs.device_mesh(config.phases[phase.name].clips_per_batch)
      except ValueError as error:
        raise ValueError(f"config.phases.{phase.name}: {error}") from error
      for name, earlier in phase.trainable.items():
        if earlier is None and name in given:
          init = functools.partial(model.init, name)
          expected = jax.eval_shape(init, jax.random.key(0))
          _check_shapes(name, given[name], expected)


def _run_steps(
  phase, config, checkpoints, program, total, state, frozen, shown
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
      if programs.many_steps_per_dispatch():
        count = steps_to_stop(step, total, every, program.source.max_steps)
      arrays = program.source.take(step, count)
      state, metrics = program.train_steps(
        state, frozen, arrays, jnp.int32(count)
      )
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
        networks = jax.device_get({**frozen, **state.networks})
        logger.show(step, program.visualize(networks, shown))
      if save_now:
        checkpoints.save(step, state.networks, state.opt_state)
      if preempted:
        raise preemption.PreemptedError(
          f"Stopped by SIGTERM after step {step} of phase "
          f"{phase.checkpoint_name}, which is saved; the same command resumes."
        )


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


def _initial_state(phase, model, config, labels, optimizer):
  """Initializes networks at random or from earlier phases."""
  earlier = {n: p for n, p in phase.trainable.items() if p is not None}
  networks = load_networks(config.workdir, earlier) if earlier else {}
  given = _initial_weights(model, config, labels)
  key = jax.random.fold_in(
    jax.random.key(config.seed), programs.stable_hash(phase.checkpoint_name)
  )
  for name in phase.trainable:
    if name not in networks:
      init = functools.partial(model.init, name)
      if name in given:
        _check_shapes(name, given[name], jax.eval_shape(init, key))
        networks[name] = given[name]
        continue
      init = jax.jit(init, compiler_options=runtime.compiler_options())
      networks[name] = init(jax.random.fold_in(key, programs.stable_hash(name)))
  return create_state(networks, optimizer)


def _initial_weights(model, config, labels):
  """The networks that `config.init_from` names, for a model that can use them.

  Raises:
    FileNotFoundError, ValueError: as for `weights.read_all`.
  """
  if not config.init_from or not model.fine_tunes:
    return {}
  source = None if config.init_from == "weights" else config.init_from
  given = weights.read_all(source)
  return model.adapt(given.networks, given.config, given.labels, labels)


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


def _is_intact(checkpoints, steps):
  """Whether the newest checkpoint, of this step, can be read."""
  restored = checkpoints.restore()
  return restored is not None and restored[0] == steps


def _restore(checkpoints, state):
  """The newest saved state, or the given one at step 0."""
  restored = checkpoints.restore(state.networks, state.opt_state)
  if restored is None:
    return 0, state
  step, networks, opt_state = restored
  if distributed.is_main_process():
    print(f"Phase {checkpoints.phase} goes on after step {step}.")
  return step, TrainState(jnp.int32(step), networks, opt_state)

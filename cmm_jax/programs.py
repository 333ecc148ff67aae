"""The programs of a phase, and what they take their frames from."""

import dataclasses
import math
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import distributed, runtime
from cmm_jax.data import augment, pipeline, sources
from cmm_jax.data.clips import Clips
from cmm_jax.models import clusters
from cmm_jax.models.base import AXIS, Model, Phase
from cmm_jax.train_step import create_state, make_optimizer, make_train_steps


@dataclasses.dataclass(frozen=True)
class Program:
  """What a phase runs.

  Attributes:
    mesh: the devices.
    sampling: how batches are sampled.
    source: of the frames.
    optimizer: of all networks.
    train_steps: as `train_step.make_train_steps` returns it.
    visualize: the compiled `Phase.visualize`.
  """

  mesh: Mesh
  sampling: pipeline.Sampling
  source: sources.DeviceSource | sources.StreamSource
  optimizer: optax.GradientTransformation
  train_steps: Callable[..., Any]
  visualize: Callable[..., Any]


def build(
  phase: Phase, config: ml_collections.ConfigDict, clips: sources.Examples
) -> Program:
  """Builds the programs of a phase; they are compiled at their first call.

  Args:
    phase: to train.
    config: of the run.
    clips: those that the phase trains on (`clips_of`).

  Raises:
    ValueError: the batch does not suit the data or the devices.
  """
  settings = config.phases[phase.name]
  steps = num_steps(settings, len(clips), config.data.num_frames)
  sampling = make_sampling(phase, config)
  mesh = device_mesh(settings.clips_per_batch)
  optimizer = make_optimizer(settings, steps)
  many_steps = many_steps_per_dispatch()
  source = sources.open_source(
    clips,
    sampling,
    mesh,
    placement=config.train.placement,
    many_steps=many_steps,
  )
  train_steps = make_train_steps(
    phase.loss,
    optimizer,
    mesh,
    source,
    many_steps=many_steps,
    kept=phase.kept,
  )
  visualize = jax.jit(
    phase.visualize, compiler_options=runtime.compiler_options()
  )
  return Program(mesh, sampling, source, optimizer, train_steps, visualize)


def compile_ahead(
  phase: Phase, model: Model, config: ml_collections.ConfigDict, clips: Clips
) -> None:
  """Compiles what `train.run` will need for a phase, and drops it.

  Training finds it in JAX's cache of compiled programs. For a thread of its
  own, while an earlier phase trains: on a GPU a program takes a minute or more.
  """
  if not config.phases[phase.name].epochs:
    return
  clips = clips_of(phase, clips)
  program = build(phase, config, clips)
  everywhere = NamedSharding(program.mesh, PartitionSpec())

  def shapes(function, sharding):
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
      jax.eval_shape(function),
    )

  def init(names):
    return {name: model.init(name, jax.random.key(0)) for name in names}

  state = shapes(
    lambda: create_state(init(phase.trainable), program.optimizer), everywhere
  )
  frozen = shapes(lambda: init(phase.frozen), everywhere)
  count = jax.ShapeDtypeStruct((), jnp.int32)
  arrays = program.source.shapes()
  program.train_steps.lower(state, frozen, arrays, count).compile()
  networks = shapes(lambda: init([*phase.frozen, *phase.trainable]), None)
  batch = sources.first_batch(clips, program.sampling)
  program.visualize.lower(networks, batch).compile()


def many_steps_per_dispatch() -> bool:
  """Whether one dispatch takes all steps up to the next stop.

  Not on a CPU, where a step takes far longer than its dispatch.
  """
  return jax.default_backend() != "cpu"


def compiles_ahead() -> bool:
  """Whether later phases are compiled while the first one trains.

  Not on a CPU, whose cores the training needs, and not with several processes,
  which have to compile the same programs in the same order.
  """
  return jax.default_backend() != "cpu" and distributed.is_alone()


def num_steps(
  settings: ml_collections.ConfigDict, num_clips: int, num_frames: int
) -> int:
  """Steps until the loss has seen every frame `settings.epochs` times.

  At least 1, or 0 for 0 epochs: the phase keeps the weights that it is given.
  """
  if not settings.epochs:
    return 0
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
    seed=config.seed + stable_hash(phase.checkpoint_name),
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


def clips_of(phase: Phase, clips: Clips) -> sources.Examples:
  """The clips that a phase trains on."""
  if phase.label is not None:
    clips = clips.with_label(phase.label)
  if phase.num_clusters:
    clips = clusters.ClusteredClips(clips, phase.num_clusters)
  return clips


def stable_hash(name: str) -> int:
  """A number that is the same in every process."""
  return zlib.crc32(name.encode()) % 2**31

"""Where training steps take their frames from: the device, or the host.

`DeviceSource` keeps the split on every device. `StreamSource` leaves it on the
host, where Grain's threads read what the next steps need. Both give the same
batches, and the step alone is the position in either.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax.data import pipeline
from cmm_jax.data.clips import machine_memory

Examples = Sequence[Mapping[str, Any]]
Arrays = dict[str, jax.Array]
PLACEMENTS = ("auto", "device", "stream")

# Steps whose frames one dispatch of `StreamSource` carries to the devices.
_STREAMED_STEPS = 16


def open_source(
  clips: Examples,
  sampling: pipeline.Sampling,
  mesh: Mesh,
  *,
  placement: str,
  many_steps: bool = True,
) -> "DeviceSource | StreamSource":
  """Opens a split for training.

  Args:
    clips: the split.
    sampling: how its batches are sampled.
    mesh: the devices, of one axis, those of a process beside each other.
    placement: "device", "stream", or "auto": on the device if it takes at most
      a quarter of a device's memory.
    many_steps: whether a dispatch takes several steps.

  Raises:
    ValueError: there is no such placement.
  """
  if placement not in PLACEMENTS:
    raise ValueError(
      f"config.train.placement is {placement!r}; it must be one of "
      f"{', '.join(PLACEMENTS)}."
    )
  if placement == "auto":
    fits = split_size(clips, sampling) <= _device_memory(mesh) // 4
    placement = "device" if fits else "stream"
  if placement == "device":
    return DeviceSource(clips, sampling, mesh)
  max_steps = _STREAMED_STEPS if many_steps else 1
  return StreamSource(clips, sampling, mesh, max_steps=max_steps)


def split_size(clips: Examples, sampling: pipeline.Sampling) -> int:
  """The bytes that a split's arrays take."""
  arrays = _arrays([clips[0]], sampling)
  return len(clips) * sum(array.nbytes for array in arrays.values())


def first_batch(clips: Examples, sampling: pipeline.Sampling) -> pipeline.Batch:
  """The batch of step 0, made on the host."""
  num_frames = len(clips[0]["landmarks"])

  @jax.jit
  def choose():
    return pipeline.choose(len(clips), num_frames, jnp.int32(0), sampling)

  choice = _on_host(choose)
  found = _read(clips, choice, sampling)
  augment = jax.jit(functools.partial(pipeline.augment, sampling=sampling))
  return jax.device_get(_on_host(augment, found, choice))


class DeviceSource:
  """A split that lies on every device.

  Attributes:
    spec: how the arrays lie on the mesh.
    max_steps: that one call of `take` serves; None for any number.
  """

  spec = PartitionSpec()
  max_steps = None

  def __init__(self, clips: Examples, sampling: pipeline.Sampling, mesh: Mesh):
    self._clips, self._sampling, self._mesh = clips, sampling, mesh
    self._sharding = NamedSharding(mesh, self.spec)

  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """What `take` returns, without its values."""
    return {
      name: jax.ShapeDtypeStruct(
        (len(self._clips), *array.shape[1:]),
        array.dtype,
        sharding=self._sharding,
      )
      for name, array in _arrays([self._clips[0]], self._sampling).items()
    }

  def take(self, step: int, count: int) -> Arrays:
    """The arrays that `count` steps after the first `step` make batches of."""
    del step, count
    return self._split

  @functools.cached_property
  def _split(self):
    return replicate(_arrays(self._clips, self._sampling), self._mesh)

  def make_batch(
    self, arrays: Arrays, step: jax.Array, index: int | jax.Array
  ) -> pipeline.Batch:
    """Makes a device's part of a step's batch, in a program mapped over them.

    Args:
      arrays: from `take`, the device's part.
      step: the number of steps before it, int32 [].
      index: of the step among those that `arrays` are for.
    """
    del index
    part = _part_of_device(self._sampling, self._mesh)
    return pipeline.sample(arrays, step, self._sampling, **part)


class StreamSource:
  """A split that stays on the host.

  Each process reads its own devices' part of a batch, and of the clips the
  sampled frames alone go to the devices. The attributes and methods are those
  of `DeviceSource`.
  """

  def __init__(
    self,
    clips: Examples,
    sampling: pipeline.Sampling,
    mesh: Mesh,
    *,
    max_steps: int = _STREAMED_STEPS,
  ):
    self.spec = PartitionSpec(None, *mesh.axis_names)
    self.max_steps = max_steps
    self._clips, self._sampling, self._mesh = clips, sampling, mesh
    self._choose = functools.partial(
      pipeline.choose, len(clips), len(clips[0]["landmarks"]), sampling=sampling
    )
    self._sharding = NamedSharding(mesh, self.spec)
    self._batches, self._next_step = None, None

  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """What `take` returns, without its values."""
    count = self._sampling.clips_per_batch
    choice = jax.eval_shape(lambda: self._choose(jnp.int32(0)))
    split = _arrays([self._clips[0]], self._sampling)
    found = jax.eval_shape(pipeline.read, split, choice)
    return {
      name: jax.ShapeDtypeStruct(
        (self.max_steps, count, *array.shape[1:]),
        array.dtype,
        sharding=self._sharding,
      )
      for name, array in found.items()
    }

  def take(self, step: int, count: int) -> Arrays:
    """The frames of `count` steps, at most `max_steps`, after the first `step`.

    The arrays have room for `max_steps`, so that one program takes any count.
    """
    if step != self._next_step:
      self._batches = self._read_from(step)
    self._next_step = step + count
    batches = list(itertools.islice(self._batches, count))
    room = (0, self.max_steps - count)

    def place(*parts):
      stacked = np.stack(parts)
      stacked = np.pad(stacked, [room] + [(0, 0)] * (stacked.ndim - 1))
      return jax.make_array_from_process_local_data(self._sharding, stacked)

    return jax.tree.map(place, *batches)

  def _read_from(self, start):
    """Reads the process's part of each step, in Grain's threads."""
    part = _part_of_process(self._sampling, self._mesh)
    choose = jax.jit(functools.partial(self._choose, **part))

    def read(step):
      choice = _on_host(choose, jnp.int32(step))
      return _read(self._clips, choice, self._sampling)

    steps = grain.MapDataset.range(start, np.iinfo(np.int32).max).map(read)
    options = grain.ReadOptions(num_threads=8, prefetch_buffer_size=32)
    return iter(steps.to_iter_dataset(options))

  def make_batch(
    self, arrays: Arrays, step: jax.Array, index: int | jax.Array
  ) -> pipeline.Batch:
    """As `DeviceSource.make_batch`."""
    found = {name: array[index] for name, array in arrays.items()}
    part = _part_of_device(self._sampling, self._mesh)
    choice = self._choose(step, **part)
    return pipeline.augment(found, choice, self._sampling)


def _part_of_device(sampling, mesh):
  """The part of a batch that the device makes whose program asks."""
  (axis,) = mesh.axis_names
  count = sampling.clips_per_batch // mesh.size
  return {"first": jax.lax.axis_index(axis) * count, "count": count}


def _part_of_process(sampling, mesh):
  """The part of a batch that this process's devices make."""
  owners = [device.process_index for device in mesh.devices.flat]
  own, per_device = jax.process_index(), sampling.clips_per_batch // mesh.size
  return {
    "first": owners.index(own) * per_device,
    "count": owners.count(own) * per_device,
  }


def replicate(tree: Any, mesh: Mesh) -> Any:
  """Puts host arrays, the same in every process, on all devices of the mesh."""
  sharding = NamedSharding(mesh, PartitionSpec())
  if jax.process_count() == 1:
    return jax.device_put(tree, sharding)

  def place(array):
    array = np.asarray(array)
    return jax.make_array_from_callback(
      array.shape, sharding, lambda index: array[index]
    )

  return jax.tree.map(place, tree)


def _arrays(clips, sampling):
  return pipeline.to_arrays(clips, with_frames=sampling.with_frames)


def _read(clips, choice, sampling):
  """Reads chosen frames from clips on the host."""
  choice = jax.device_get(choice)
  split = _arrays([clips[row] for row in choice.rows], sampling)
  return pipeline.read(split, choice.replace(rows=np.arange(len(choice.rows))))


def _on_host(function, *args):
  """Runs a compiled function on the host's CPU, where JAX has that backend."""
  try:
    device = jax.local_devices(backend="cpu")[0]
  except RuntimeError:  # JAX_PLATFORMS leaves it out
    device = jax.local_devices()[0]
  with jax.default_device(device):
    return function(*args)


def _device_memory(mesh):
  """The memory of one device, in bytes."""
  device = mesh.local_devices[0]
  statistics = device.memory_stats() or {}
  return statistics.get("bytes_limit", machine_memory())

"""Splits on the device and on the host."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from cmm_jax.data import augment, pipeline, sources
from cmm_jax.data import clips as clips_lib
from cmm_jax.models import clusters

SAMPLING = pipeline.Sampling(
  clips_per_batch=4,
  frames_per_clip=3,
  augmentation=augment.Augmentation(
    mirror=True, stretch=0.05, shift=2.0, color=0.2, light=0.2, blur=0.8
  ),
  seed=7,
  image_size=64,
)


def mesh(num_devices=1):
  return Mesh(np.array(jax.devices()[:num_devices]), ("data",))


def batches(source, num_devices, start, dispatches):
  """The batches of successive steps, put together from the devices' parts."""

  @jax.jit
  @functools.partial(
    jax.shard_map,
    mesh=mesh(num_devices),
    in_specs=(source.spec, jax.P(), jax.P()),
    out_specs=jax.P("data"),
    check_vma=False,
  )
  def make(arrays, step, index):
    return source.make_batch(arrays, step, index)

  step, found = start, []
  for count in dispatches:
    arrays = source.take(step, count)
    for index in range(count):
      found.append(jax.device_get(make(arrays, jnp.int32(step), index)))
      step += 1
  return found


@pytest.mark.parametrize("num_devices", [1, 4])
def test_a_streamed_split_gives_the_batches_of_one_on_the_device(
  clips, num_devices
):
  clips = clusters.ClusteredClips(clips, 2)
  opened = functools.partial(
    sources.open_source, clips, SAMPLING, mesh(num_devices)
  )

  on_device = batches(
    opened(placement="device"), num_devices, 2, dispatches=[5]
  )
  streamed = batches(
    opened(placement="stream"), num_devices, 2, dispatches=[3, 2]
  )

  for one, other in zip(on_device, streamed, strict=True):
    assert one.keys() == other.keys()
    for name, value in one.items():
      np.testing.assert_array_equal(value, other[name], name)


def test_the_first_batch_is_that_of_step_0(clips):
  source = sources.open_source(clips, SAMPLING, mesh(), placement="device")
  (expected,) = batches(source, 1, 0, [1])

  found = sources.first_batch(clips, SAMPLING)

  for name, value in expected.items():
    # Another program may round a pixel to the next gray level.
    frames = value.dtype == np.uint8
    np.testing.assert_allclose(
      np.float64(found[name]), value, rtol=1e-5, atol=1.0 if frames else 1e-5
    )


def test_a_split_goes_to_the_device_only_if_it_fits(clips, monkeypatch):
  size = sources.split_size(clips, SAMPLING)
  kinds = []
  for memory in (4 * size, 4 * size - 1):
    monkeypatch.setattr(sources, "machine_memory", lambda m=memory: m)
    kinds.append(sources.open_source(clips, SAMPLING, mesh(), placement="auto"))

  assert [type(kind) for kind in kinds] == [
    sources.DeviceSource,
    sources.StreamSource,
  ]
  landmarks_alone = dataclasses.replace(SAMPLING, with_frames=False)
  assert sources.split_size(clips, landmarks_alone) < size / 20


def test_an_unknown_placement_is_named_with_those_that_exist(clips):
  with pytest.raises(ValueError, match=r"'disk'.*auto, device, stream"):
    sources.open_source(clips, SAMPLING, mesh(), placement="disk")


def test_clips_beyond_half_of_the_memory_are_read_again(
  data_dir, monkeypatch, clips
):
  memory = 4 * clips[0]["frames"].nbytes  # half of it: less than two clips
  monkeypatch.setattr(clips_lib, "machine_memory", lambda: memory)
  bounded = clips_lib.Clips(data_dir, "miniature", "train")

  assert bounded[0] is bounded[0] and bounded[1] is not bounded[1]
  for i in range(len(clips)):
    np.testing.assert_array_equal(bounded[i]["frames"], clips[i]["frames"])

"""Batches sampled on the device."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.data import augment, pipeline

AUGMENTED = augment.Augmentation(
  mirror=True,
  stretch=0.05,
  shift=2.0,
  color=0.2,
  light=0.2,
  blur=0.8,
  compression=1.0,
)
SAMPLING = pipeline.Sampling(
  clips_per_batch=4,
  frames_per_clip=3,
  augmentation=AUGMENTED,
  seed=7,
  image_size=64,
)
PLAIN = dataclasses.replace(SAMPLING, augmentation=augment.Augmentation())


@pytest.fixture(scope="module")
def split(clips):
  return pipeline.to_arrays(clips)


@functools.cache
def compiled(sampling, **part):
  return jax.jit(functools.partial(pipeline.sample, sampling=sampling, **part))


def batch_of(split, step, sampling=SAMPLING):
  return jax.device_get(compiled(sampling)(split, jnp.int32(step)))


def assert_same(one, other):
  assert one.keys() == other.keys()
  for name, value in one.items():
    np.testing.assert_array_equal(value, other[name], name)


def test_a_batch_names_the_clusters_of_clustered_clips(clips, split):
  clusters = np.arange(len(clips)) % 3
  batch = batch_of(split | {"cluster": clusters.astype(np.int32)}, 0)
  rows = pipeline.choose(len(clips), 32, jnp.int32(0), SAMPLING).rows

  np.testing.assert_array_equal(batch["cluster"], clusters[rows])
  assert "cluster" not in batch_of(split, 0)


def test_a_batch_holds_what_the_module_says(split):
  batch = batch_of(split, 0)

  found = {name: (v.dtype.name, v.shape) for name, v in batch.items()}
  assert found == {
    "frames": ("uint8", (4, 3, 64, 64, 3)),
    "points": ("float32", (4, 3, 68, 2)),
    "action_units": ("float32", (4, 3, 2)),
    "times": ("int32", (4, 3)),
    "first_points": ("float32", (4, 68, 2)),
    "first_frame": ("uint8", (4, 64, 64, 3)),
    "label": ("int32", (4,)),
    "seed": ("uint32", (4,)),
  }


def test_a_step_always_has_the_same_batch_and_others_have_others(split):
  one, again, later = (batch_of(split, step) for step in (5, 5, 6))
  other = batch_of(split, 5, dataclasses.replace(SAMPLING, seed=8))

  assert_same(one, again)
  assert not np.array_equal(one["seed"], later["seed"])
  assert not np.array_equal(one["seed"], other["seed"])


@pytest.mark.parametrize("num_devices", [2, 4])
def test_devices_make_the_parts_of_one_batch(split, num_devices):
  whole, step = batch_of(split, 3), jnp.int32(3)
  count = 4 // num_devices
  parts = [
    compiled(SAMPLING, first=device * count, count=count)(split, step)
    for device in range(num_devices)
  ]

  for name, value in whole.items():
    joined = np.concatenate([part[name] for part in parts])
    # Up to rounding, of frames to a gray level: XLA vectorizes programs of
    # other sizes differently.
    rounding = 1 if value.dtype == np.uint8 else 1e-5
    np.testing.assert_allclose(
      joined.astype(float), value, 1e-6, rounding, err_msg=name
    )


def test_every_clip_is_sampled_once_per_epoch_in_an_order_of_its_own(split):
  epochs = [
    np.concatenate(
      [
        batch_of(split, s, PLAIN)["first_frame"]
        for s in range(start, start + 4)
      ]
    )
    for start in (0, 4)  # 16 clips, 4 in a batch
  ]

  expected = {frame.tobytes() for frame in split["frames"][:, 0]}
  for epoch in epochs:
    assert {frame.tobytes() for frame in epoch} == expected
  assert not np.array_equal(*epochs)


def test_a_batch_that_spans_two_epochs_takes_the_end_and_the_start(split):
  sampling = dataclasses.replace(PLAIN, clips_per_batch=12)
  batches = [
    batch_of(split, step, sampling)["first_frame"] for step in range(4)
  ]

  frames = np.concatenate(batches)  # three epochs of 16 clips
  expected = {frame.tobytes() for frame in split["frames"][:, 0]}
  for epoch in (frames[:16], frames[16:32], frames[32:]):
    assert {frame.tobytes() for frame in epoch} == expected


def test_without_augmentation_batches_are_the_clips_own_frames(clips, split):
  index = {clips[i]["frames"][0].tobytes(): i for i in range(len(clips))}

  for step in range(4):
    batch = batch_of(split, step, PLAIN)
    assert (np.diff(batch["times"], axis=1) > 0).all()
    for i, times in enumerate(batch["times"]):
      clip = clips[index[batch["first_frame"][i].tobytes()]]
      for name, source in (
        ("frames", clip["frames"][times]),
        ("points", clip["landmarks"][times]),
        ("action_units", clip["action_units"][times]),
        ("first_points", clip["landmarks"][0]),
        ("label", clip["label"]),
      ):
        np.testing.assert_array_equal(batch[name][i], source, name)


def test_every_frame_is_sampled_about_equally_often(split):
  times = np.concatenate(
    [batch_of(split, s)["times"].ravel() for s in range(99)]
  )

  counts = np.bincount(times, minlength=32)
  # 1188 frames, 37 of each: five standard deviations of a binomial are 30.
  assert counts.min() > 7 and counts.max() < 67


def test_leaving_out_the_frames_changes_nothing_else(split):
  without = batch_of(split, 0, dataclasses.replace(SAMPLING, with_frames=False))
  batch = batch_of(split, 0)

  assert batch.keys() - without.keys() == {"frames", "first_frame"}
  for name, value in without.items():
    np.testing.assert_allclose(value, batch[name], atol=1e-4, err_msg=name)


def test_too_few_clips_for_a_batch_are_refused():
  sampling = dataclasses.replace(SAMPLING, clips_per_batch=17)

  with pytest.raises(ValueError, match="17 clips cannot be sampled from 16"):
    pipeline.check_batch(sampling, 16)

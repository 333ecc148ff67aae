"""Batches from a split that lives on the device.

`to_arrays` stacks a split, and `train.run` puts its arrays on every device.
`sample` is then a pure function of the seed and the step: a training step makes
its own batch, many steps need no host, and a step always has the same batch.

A batch is a dict of arrays, `b` clips and `f` frames sampled from each:

  frames         uint8   [b f h w 3]    the sampled frames
  points         float32 [b f 68 2]     their landmarks, in pixels
  action_units   float32 [b f 2]        AU06, AU12, 0-5
  times          int32   [b f]          the frames' numbers, ascending
  first_points   float32 [b 68 2]       the clip's neutral frame
  first_frame    uint8   [b h w 3]
  label          int32   [b]
  seed           uint32  [b]            of the example's own random numbers

`frames` and `first_frame` are left out of phases that use landmarks alone.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cmm_jax.data import augment

Batch = dict[str, jax.Array]
Split = Mapping[str, Any]  # name -> array [n t ...], or [n] for the label


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How batches are sampled from a split.

  Attributes:
    clips_per_batch: over all devices.
    frames_per_clip: without replacement, in ascending order.
    augmentation: of each sampled clip.
    seed: of the order of clips, the frames and the augmentation.
    image_size: of the frames, in pixels.
    with_frames: whether batches hold faces, or landmarks alone.
  """

  clips_per_batch: int
  frames_per_clip: int
  augmentation: augment.Augmentation
  seed: int
  image_size: int
  with_frames: bool = True


def to_arrays(
  clips: Sequence[Mapping[str, Any]], *, with_frames: bool = True
) -> dict[str, np.ndarray]:
  """Stacks a split's clips into the arrays that `sample` reads."""
  names = ["landmarks", "action_units"] + ["frames"] * with_frames
  arrays = {
    name: np.stack([clips[i][name] for i in range(len(clips))])
    for name in names
  }
  labels = [clips[i]["label"] for i in range(len(clips))]
  return arrays | {"label": np.array(labels, np.int32)}


def check_batch(sampling: Sampling, num_clips: int) -> None:
  """Raises a ValueError if the split has too few clips for one batch."""
  if sampling.clips_per_batch > num_clips:
    raise ValueError(
      f"A batch of {sampling.clips_per_batch} clips cannot be sampled from "
      f"{num_clips}; lower clips_per_batch."
    )


def sample(
  split: Split,
  step: jax.Array,
  sampling: Sampling,
  *,
  first: int | jax.Array = 0,
  count: int | None = None,
) -> Batch:
  """Makes the batch of a step, or this device's part of it.

  Every clip is sampled once per epoch, in an order of the epoch's own. All
  random numbers of an example depend on the seed and the example's number
  alone, so a batch does not depend on how devices divide it.

  Args:
    split: as `to_arrays` returns it.
    step: the number of steps before it, int32 [].
    sampling: the settings.
    first: the first example to make, of `sampling.clips_per_batch`.
    count: how many; by default all.
  """
  num_clips, num_frames = split["landmarks"].shape[:2]
  size = sampling.image_size
  if count is None:
    count = sampling.clips_per_batch
  orders, examples = jax.random.split(jax.random.key(sampling.seed))
  numbers = step * sampling.clips_per_batch + first + jnp.arange(count)
  # A batch is at most one epoch long, so it touches two epochs at most.
  epoch = step * sampling.clips_per_batch // num_clips
  permutations = jax.vmap(
    lambda e: jax.random.permutation(jax.random.fold_in(orders, e), num_clips)
  )(epoch + jnp.arange(2))
  rows = permutations[numbers // num_clips - epoch, numbers % num_clips]

  def make_example(row, number):
    # One call for all random numbers: each call takes long to compile.
    key = jax.random.fold_in(examples, number)
    num_normals = num_frames + augment.NUM_NORMALS
    normals = jax.random.normal(key, (num_normals,))
    shuffled = jnp.argsort(normals[:num_frames])
    times = jnp.sort(shuffled[: sampling.frames_per_clip]).astype(jnp.int32)
    transform = augment.make_transform(
      normals[num_frames:], sampling.augmentation, size
    )
    # The neutral frame and the sampled ones.
    chosen = jnp.concatenate([jnp.zeros(1, jnp.int32), times])
    points = split["landmarks"][row, chosen]
    if not sampling.with_frames:
      points = augment.transform_parts(transform, points)
    points = augment.transform_points(transform, points, size)
    example = {
      "points": points[1:],
      "first_points": points[0],
      "action_units": split["action_units"][row, times],
      "times": times,
      "label": split["label"][row],
      "seed": jax.random.key_data(key)[0],
    }
    if sampling.with_frames:
      frames = augment.transform_frames(
        transform, split["frames"][row, chosen], sampling.augmentation
      )
      example |= {"frames": frames[1:], "first_frame": frames[0]}
    return example

  return jax.vmap(make_example)(rows, numbers)

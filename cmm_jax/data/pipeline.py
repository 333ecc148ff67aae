"""Batches as functions of the seed and the step.

`sample` is a pure function of the seed and the step: a training step makes its
own batch from the arrays of `to_arrays`, many steps need no host, and a step
always has the same batch. A split too large for the device stays on the host:
`choose` says which frames a step reads, the host reads them, and `augment`
makes the same batch of them.

A batch is a dict of arrays, `b` clips and `f` frames sampled from each:

  frames         uint8   [b f h w 3]    the sampled frames
  points         float32 [b f 68 2]     their landmarks, in pixels
  action_units   float32 [b f 2]        AU06, AU12, 0-5
  times          int32   [b f]          the frames' numbers, ascending
  first_points   float32 [b 68 2]       the clip's neutral frame
  first_frame    uint8   [b h w 3]
  label          int32   [b]
  cluster        int32   [b]            of the clip's movement
  seed           uint32  [b]            of the example's own random numbers

`frames` and `first_frame` are left out of phases that use landmarks alone, and
`cluster` of all but those whose clips have it (`models.clusters`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, UInt32

from cmm_jax.data import augment as augmentations

Batch = dict[str, jax.Array]
Split = Mapping[str, Any]  # name -> array [n t ...], or [n] of `_PER_CLIP`

_PER_CLIP = ("label", "cluster")


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
  augmentation: augmentations.Augmentation
  seed: int
  image_size: int
  with_frames: bool = True


def to_arrays(
  clips: Sequence[Mapping[str, Any]], *, with_frames: bool = True
) -> dict[str, np.ndarray]:
  """Stacks a split's clips into the arrays that `sample` reads.

  A frame's pixels are one axis, [n t h*w*3]. Otherwise XLA gives a TPU's loop
  over steps a copy of the split, with each row of 64 pixels padded to 128.
  """
  names = ["landmarks", "action_units"] + ["frames"] * with_frames
  arrays = {
    name: np.stack([clips[i][name] for i in range(len(clips))])
    for name in names
  }
  if with_frames:
    frames = arrays["frames"]
    arrays["frames"] = frames.reshape(*frames.shape[:2], -1)
  for name in _PER_CLIP:
    if name in clips[0]:
      values = [clips[i][name] for i in range(len(clips))]
      arrays[name] = np.array(values, np.int32)
  return arrays


def check_batch(sampling: Sampling, num_clips: int) -> None:
  """Raises a ValueError if the split has too few clips for one batch."""
  if sampling.clips_per_batch > num_clips:
    raise ValueError(
      f"A batch of {sampling.clips_per_batch} clips cannot be sampled from "
      f"{num_clips}; lower clips_per_batch."
    )


class Choice(struct.PyTreeNode):
  """What a batch of b examples is made of.

  Attributes:
    rows: the clips' numbers.
    times: the sampled frames' numbers, ascending.
    normals: standard normal variates for `augmentations.make_transform`.
    seed: of each example's own random numbers.
  """

  rows: Int[Array, " b"]
  times: Int[Array, "b f"]
  normals: Float[Array, "b n"]
  seed: UInt32[Array, " b"]


def choose(
  num_clips: int,
  num_frames: int,
  step: jax.Array,
  sampling: Sampling,
  *,
  first: int | jax.Array = 0,
  count: int | None = None,
) -> Choice:
  """Chooses the clips and frames of a step's batch, or of a part of it.

  Every clip is sampled once per epoch, in an order of the epoch's own. All
  random numbers of an example depend on the seed and the example's number
  alone, so a batch does not depend on how devices divide it.

  Args:
    num_clips: of the split.
    num_frames: of each clip.
    step: the number of steps before it, int32 [].
    sampling: the settings.
    first: the first example to make, of `sampling.clips_per_batch`.
    count: how many; by default all.
  """
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

  def choose_frames(number):
    # One call for all random numbers: each call takes long to compile.
    key = jax.random.fold_in(examples, number)
    num_normals = num_frames + augmentations.NUM_NORMALS
    normals = jax.random.normal(key, (num_normals,))
    shuffled = jnp.argsort(normals[:num_frames])
    times = jnp.sort(shuffled[: sampling.frames_per_clip]).astype(jnp.int32)
    return times, normals[num_frames:], jax.random.key_data(key)[0]

  times, normals, seed = jax.vmap(choose_frames)(numbers)
  # XLA keeps what a matrix product returns. Otherwise its loop over pixels
  # draws each example's normals anew for every pixel, which takes four times as
  # long as all the rest on a CPU.
  identity = np.eye(augmentations.NUM_NORMALS, dtype=np.float32)
  normals = jnp.matmul(normals, identity, precision=jax.lax.Precision.HIGHEST)
  return Choice(rows, times, normals, seed)


def read(split: Split, choice: Choice) -> dict[str, Any]:
  """Reads the chosen frames, each clip's neutral frame before the sampled ones.

  Args:
    split: as `to_arrays` returns it; NumPy's arrays on the host, or JAX's.
    choice: what to read.

  Returns:
    landmarks [b 1+f 68 2], frames [b 1+f h*w*3] if the split has them,
    action_units [b f 2], times [b f], label [b] and cluster [b] if it has it.
  """
  # Indices for the arrays of frames.
  rows, times = choice.rows[:, None], choice.times
  numpy = times.__array_namespace__()
  neutral_too = numpy.concat([numpy.zeros_like(times[:, :1]), times], axis=1)
  found = {
    name: split[name][rows, neutral_too]
    for name in ("landmarks", "frames")
    if name in split
  }
  found |= {
    name: split[name][choice.rows] for name in _PER_CLIP if name in split
  }
  return found | {
    "action_units": split["action_units"][rows, times],
    "times": times,
  }


def augment(
  found: Mapping[str, Any], choice: Choice, sampling: Sampling
) -> Batch:
  """Makes a batch of what `read` returned.

  Args:
    found: the frames that were read.
    choice: whose random numbers are used; its rows and times are not.
    sampling: the settings.
  """
  size = sampling.image_size

  def augment_example(found, normals, seed):
    transform = augmentations.make_transform(
      normals, sampling.augmentation, size
    )
    points = found["landmarks"]
    if not sampling.with_frames:
      points = augmentations.transform_parts(transform, points)
    points = augmentations.transform_points(transform, points, size)
    example = {
      "points": points[1:],
      "first_points": points[0],
      "action_units": found["action_units"],
      "times": found["times"],
      "seed": seed,
    }
    example |= {name: found[name] for name in _PER_CLIP if name in found}
    if sampling.with_frames:
      frames = found["frames"].reshape(-1, size, size, 3)
      frames = augmentations.transform_frames(
        transform, frames, sampling.augmentation
      )
      example |= {"frames": frames[1:], "first_frame": frames[0]}
    return example

  return jax.vmap(augment_example)(dict(found), choice.normals, choice.seed)


def sample(
  split: Split,
  step: jax.Array,
  sampling: Sampling,
  *,
  first: int | jax.Array = 0,
  count: int | None = None,
) -> Batch:
  """Makes the batch of a step, or this device's part of it.

  Args:
    split: as `to_arrays` returns it.
    step: the number of steps before it, int32 [].
    sampling: the settings.
    first: the first example to make, of `sampling.clips_per_batch`.
    count: how many; by default all.
  """
  num_clips, num_frames = split["landmarks"].shape[:2]
  choice = choose(
    num_clips, num_frames, step, sampling, first=first, count=count
  )
  return augment(read(split, choice), choice, sampling)

"""A prepared dataset as batches, the same ones at the same step every time.

Reads what `tfds build` wrote, through `tfds.data_source` and Grain; TensorFlow
is not imported. A batch is a dict of numpy arrays, `b` clips and `f` frames
drawn from each:

  frames         uint8   [b f h w 3]    the drawn frames
  points         float32 [b f 68 2]     their landmarks, in pixels
  action_units   float32 [b f 2]        AU06, AU12, 0-5
  times          int32   [b f]          which frames were drawn, in order
  first_points   float32 [b 68 2]       the clip's neutral frame
  first_frame    uint8   [b h w 3]
  label          int32   [b]
  key            uint32  [b]            a number of its own for each example

`frames` and `first_frame` are left out where only landmarks are asked for.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

os.environ.setdefault("TFDS_DISABLE_TENSORFLOW_WARNING", "1")

import grain
import jax
import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image

from cmm_jax import landmarks

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """How far training clips are varied (ours); zeros leave them as they are.

  Attributes:
    mirror: whether half of the clips are mirrored.
    stretch: deviation of the face's height and width, and of its shear.
    shift: deviation of its place, in pixels of a 64-pixel frame.
    colour: deviation of contrast, brightness and of the mixing of channels.
    parts: deviation of the size of jaw, brows, eyes, nose and mouth each and,
      in eighths of the frame, of its place; where landmarks alone are asked
      for, since frames cannot follow. Faces unlike those of the training split
      are then nothing new to the networks that see only landmarks.
  """

  mirror: bool = False
  stretch: float = 0.0
  shift: float = 0.0
  colour: float = 0.0
  parts: float = 0.0


class Clips:
  """The clips of one split, decoded once and kept in memory.

  Several datasets can be read as one, one after the other.

  A clip of 32 frames of 64 pixels takes 0.4 MB, so a dataset as large as
  UvA-NEMO takes half a gigabyte.
  """

  def __init__(self, data_dir: str, name: str, split: str):
    """Opens a split.

    Args:
      data_dir: the folder that `tfds build --data_dir` wrote to.
      name: dataset, config and optionally version: "virtual_smiles/quick";
        several are joined by a plus: "disfa/64x64+disfa_plus/64x64".
      split: "train", "validation" or "test".

    Raises:
      FileNotFoundError: it has not been built.
      ValueError: it has no such split, or several differ in their labels or
        their frames.
    """
    kinds, self._sources = {}, []
    for part in name.split("+"):
      builder = _open_builder(data_dir, part.strip())
      if split not in builder.info.splits:
        raise ValueError(
          f"{part} has no split {split!r}; it has "
          f"{', '.join(sorted(builder.info.splits))}."
        )
      features = builder.info.features
      kinds[part] = features["label"].names, features["frames"].shape
      self._sources.append(builder.as_data_source(split))
    self.labels: list[str] = kinds[part][0]
    if any(kind != kinds[part] for kind in kinds.values()):
      raise ValueError(
        "Datasets can be joined if they have the same labels and frames; "
        + "; ".join(
          f"{part} has {', '.join(labels)} and frames {shape}"
          for part, (labels, shape) in kinds.items()
        )
        + "."
      )
    self._stops = np.cumsum([len(source) for source in self._sources])

  def __len__(self) -> int:
    return int(self._stops[-1])

  @functools.cache  # noqa: B019 (as many entries as clips, kept on purpose)
  def __getitem__(self, index: int) -> Mapping[str, Any]:
    """One example as its builder made it, text as `str`."""
    which = int(np.searchsorted(self._stops, index, side="right"))
    start = self._stops[which] - len(self._sources[which])
    example = dict(self._sources[which][int(index - start)])
    for name in ("subject", "clip"):
      example[name] = example[name].decode()
    return example

  def check_size(self, num_frames: int, image_size: int) -> None:
    """Raises a ValueError unless clips have these frames of this size."""
    found = self[0]["frames"].shape[:2]
    if found != (num_frames, image_size):
      raise ValueError(
        f"The clips have {found[0]} frames of {found[1]} pixels, the config "
        f"wants config.data.num_frames = {num_frames} of "
        f"config.data.image_size = {image_size}; change these, or prepare the "
        "data at that size."
      )


def batches(
  clips: Clips,
  *,
  clips_per_batch: int,
  frames_per_clip: int,
  augmentation: Augmentation,
  seed: int,
  start: int = 0,
  with_frames: bool = True,
) -> Iterator[Batch]:
  """Endless batches from step `start` on, each made of `seed` and its step.

  Args:
    clips: the split to draw from.
    clips_per_batch: over all processes.
    frames_per_clip: drawn without repetition, in order of time.
    augmentation: of each drawn clip.
    seed: of order, frames and augmentation.
    start: the first step's number.
    with_frames: whether the frames are wanted, or the landmarks alone.

  Yields:
    This process' share of the batch.

  Raises:
    ValueError: the split has too few clips for one batch, or the batch cannot
      be divided among the processes.
  """
  if clips_per_batch > len(clips):
    raise ValueError(
      f"A batch of {clips_per_batch} clips cannot be drawn from {len(clips)}; "
      "lower clips_per_batch."
    )
  processes = jax.process_count()
  if clips_per_batch % processes:
    raise ValueError(
      f"{clips_per_batch} clips per batch cannot be divided among {processes} "
      "processes; take a multiple."
    )
  share = clips_per_batch // processes
  numbers = grain.MapDataset.source(range(len(clips))).seed(seed).shuffle()
  numbers = numbers.repeat(None)[jax.process_index() :: processes]
  dataset = numbers.random_map(
    lambda index, random: _draw_example(
      clips[index], frames_per_clip, augmentation, with_frames, random
    )
  ).batch(share)
  # Position is the step alone: nothing else to save, whatever the processes.
  # Two threads are enough to stay ahead; more would take the CPU's cores.
  options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
  return iter(dataset[start:].to_iter_dataset(options))


_PARTS = [
  list(part)
  for part in (
    landmarks.JAW,
    (*landmarks.RIGHT_BROW, *landmarks.LEFT_BROW),
    landmarks.EYES,
    (*landmarks.NOSE_BRIDGE, *landmarks.NOSE_BASE),
    landmarks.MOUTH,
  )
]


def _draw_example(clip, frames_per_clip, augmentation, with_frames, random):
  """Frames of one clip, varied; `random` is the example's own generator."""
  num_frames, size = clip["frames"].shape[:2]
  times = np.sort(random.permutation(num_frames)[:frames_per_clip])
  key = random.integers(2**32, dtype=np.uint32)
  if with_frames:
    augmentation = dataclasses.replace(augmentation, parts=0.0)
  vary = _Variation(augmentation, size, random)

  chosen = np.concatenate([[0], times])  # the neutral frame and the drawn ones
  points = vary.points(clip["landmarks"][chosen])
  example = {
    "points": points[1:],
    "first_points": points[0],
    "action_units": clip["action_units"][times],
    "times": times.astype(np.int32),
    "label": np.int32(clip["label"]),
    "key": key,
  }
  if with_frames:
    frames = vary.frames(clip["frames"][chosen])
    example |= {"frames": frames[1:], "first_frame": frames[0]}
  return example


class _Variation:
  """One random change of shape and colour, the same for a whole clip."""

  def __init__(self, augmentation: Augmentation, size: int, random):
    normal = random.standard_normal(6).clip(-2, 2)
    self._size = size
    self._mirror = augmentation.mirror and random.random() < 0.5
    stretch = np.eye(2) + augmentation.stretch * (
      normal[:4].reshape(2, 2) * [[1, 0.5], [0.5, 1]]
    )
    self._matrix = stretch
    centre = np.full(2, (size - 1) / 2)
    shift = augmentation.shift * size / 64 * normal[4:]
    self._shift = centre - stretch @ centre + shift
    self._moves = bool(augmentation.stretch or augmentation.shift)

    count = len(_PARTS)
    part = augmentation.parts * random.standard_normal((2, count, 2))
    self._part_sizes = 1 + part[0].clip(-0.5, 0.5)
    self._part_shifts = size / 8 * part[1]
    self._deforms = bool(augmentation.parts)

    mixing = random.standard_normal((3, 3)).clip(-2, 2)
    tone = random.standard_normal(2).clip(-2, 2)
    strength = augmentation.colour
    self._colours = np.eye(3) * (1 + strength * tone[0]) + strength * mixing / 2
    self._brightness = 255 * strength * tone[1] / 2
    self._recolours = bool(strength)

  def points(self, points):
    """[n 68 2] to the same."""
    if self._deforms:
      points = points.copy()
      for i, part in enumerate(_PARTS):
        # About the part's place in the first frame: a smile stays a smile.
        middle = points[0, part].mean(axis=0)
        points[:, part] = (
          middle
          + self._part_shifts[i]
          + (points[:, part] - middle) * self._part_sizes[i]
        )
    if self._moves:
      points = points @ self._matrix.T + self._shift
    if self._mirror:
      points = landmarks.mirror(points, self._size)
    return points.astype(np.float32)

  def frames(self, frames):
    """uint8 [n h w 3] to the same."""
    if self._moves:
      frames = _warp(frames, self._matrix, self._shift)
    if self._mirror:
      frames = frames[:, :, ::-1]
    if self._recolours:
      middle = 127.5
      mixed = (frames - np.float32(middle)) @ self._colours.T.astype(np.float32)
      frames = np.clip(mixed + (middle + self._brightness), 0, 255)
    return np.ascontiguousarray(frames.astype(np.uint8))


def _warp(frames, matrix, shift):
  """Moves pixels as `matrix @ place + shift`, repeating the border's."""
  border = frames.shape[1] // 4
  # Pillow asks where a pixel comes from, and counts from the pixels' corners.
  inverse = np.linalg.inv(matrix)
  offset = 0.5 + border - inverse @ (shift + 0.5)
  affine = (*inverse[0], offset[0], *inverse[1], offset[1])
  around = ((0, 0), (border, border), (border, border), (0, 0))
  size = frames.shape[2], frames.shape[1]
  return np.stack(
    [
      Image.fromarray(frame).transform(
        size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
      )
      for frame in np.pad(frames, around, mode="edge")
    ]
  )


def _open_builder(data_dir, name):
  parts = name.split("/")
  folder = epath.Path(data_dir).expanduser().joinpath(*parts)
  try:
    # A build that was stopped leaves "1.0.0.incomplete…" behind.
    versions = sorted(
      (
        path.name
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name)
      ),
      key=lambda version: [int(number) for number in version.split(".")],
    )
    if not (folder / "dataset_info.json").exists():
      folder = folder / versions[-1]
    return tfds.builder_from_directory(folder)
  except (OSError, IndexError, ValueError) as error:
    config = f" --config {parts[1]}" if len(parts) > 1 else ""
    raise FileNotFoundError(
      f"The dataset {name!r} is not in {data_dir!r}; build it with\n"
      f"  tfds build tfds_builders/{parts[0]}{config} --data_dir {data_dir}"
    ) from error

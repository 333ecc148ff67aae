"""The cases that are timed, at the sizes of configs/nemo.py unless stated.

Both implementations, JAX and PyTorch, take a case's settings and its batch from
here. Nothing here imports JAX, so that a PyTorch process is free of it.
"""

import dataclasses
from collections.abc import Mapping

import ml_collections
import numpy as np

from configs import nemo

NUM_LABELS = 2


@dataclasses.dataclass(frozen=True)
class Case:
  """A training step, generation, or a matrix product.

  Attributes:
    name: as in the tables.
    kind: the phase whose training step it is; "generate"; or "matmul", the
      product of two square matrices, which gives the peak of the device.
    clips: clips per batch; photos; or matrix products.
    frames: frames of each clip in the loss; or the size of the matrices.
    dtype: that the convolutional networks and the matrix product compute in,
      "float32" or "bfloat16"; parameters are always float32.
    sizes: settings that differ from configs/nemo.py, by their dotted names.
  """

  name: str
  kind: str
  clips: int = 1
  frames: int = 1
  dtype: str = "float32"
  sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def model(self) -> str:
    """The model that the phase belongs to."""
    return "video_gan" if self.kind == "video_gan" else "cmm_net"

  @property
  def phase(self) -> str:
    """The phase's checkpoint name: Video-GAN has a phase per label."""
    return "video_gan_0" if self.kind == "video_gan" else self.kind

  def config(self) -> ml_collections.ConfigDict:
    """The config of a run with this case's sizes."""
    config = nemo.get_config()
    # Both libraries' random numbers differ, and so would their losses.
    config.loss.instance_noise = 0.0
    config.update_from_flattened_dict(self.sizes)
    config.model.dtype = self.dtype
    if self.kind in config.phases:
      config.phases[self.kind].clips_per_batch = self.clips
      config.phases[self.kind].frames_per_clip = self.frames
    return config


def matmul(device: str, dtype: str = "float32") -> Case:
  """Eight matrix products, large enough to reach the peak of the device."""
  return Case("matmul", "matmul", 8, 2048 if device == "cpu" else 8192, dtype)


# A narrow Video-GAN: at a width of 128 two cores take seconds per clip.
_NARROW = {"model.video_gan_width": 32}

CASES = {
  case.name: case
  for case in (
    Case("vae-64", "vae", 16, 4),
    Case("vae-256", "vae", 64, 4),
    Case("conditional-4", "conditional", 4, 32),
    Case("conditional-16", "conditional", 16, 32),
    Case("modes-4", "modes", 4, 32),
    Case("modes-16", "modes", 16, 32),
    Case("translator-16", "translator", 16, 1),
    Case("translator-64", "translator", 64, 1),
    Case("video_gan-4", "video_gan", 4, 32),
    Case("video_gan_of_width_32-16", "video_gan", 16, 32, sizes=_NARROW),
    Case("generate-1", "generate", 1, 32),
    Case("generate-16", "generate", 16, 32),
  )
}


def photos(case: Case) -> dict[str, np.ndarray]:
  """The photos that are generated from, as `Model.generate` takes them."""
  inputs = {
    name: value
    for name, value in batch(case).items()
    if name in ("first_frame", "first_points", "label")
  }
  strength = np.linspace(1, 1.5, case.clips, dtype=np.float32)
  return inputs | {"strength": strength}


def batch(case: Case) -> dict[str, np.ndarray]:
  """A batch of noise, laid out as by `data.pipeline`; always the same one."""
  config = case.config()
  data, num_modes = config.data, config.model.num_modes
  random = np.random.default_rng(0)
  frames = case.clips, case.frames
  face = (data.image_size, data.image_size, 3)
  times = [
    np.sort(random.permutation(data.num_frames)[: case.frames])
    for _ in range(case.clips)
  ]

  def points(*lead):
    low, high = data.image_size / 8, data.image_size * 7 / 8
    return random.uniform(low, high, (*lead, 68, 2)).astype(np.float32)

  def pixels(*lead):
    return random.integers(0, 256, (*lead, *face), dtype=np.uint8)

  return {
    "points": points(*frames),
    "first_points": points(case.clips),
    "frames": pixels(*frames),
    "first_frame": pixels(case.clips),
    "times": np.stack(times).astype(np.int32),
    "label": (np.arange(case.clips) % NUM_LABELS).astype(np.int32),
    "cluster": (np.arange(case.clips) % num_modes).astype(np.int32),
    "seed": np.arange(case.clips, dtype=np.uint32),
  }

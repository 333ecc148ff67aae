"""The works that are timed, at the sizes of configs/nemo.py unless they say so.

Whoever does a work, ours or PyTorch, takes its settings and its batch from
here. Nothing here imports JAX, so that a process of PyTorch's is free of it.
"""

import dataclasses
from collections.abc import Mapping

import ml_collections
import numpy as np

from configs import nemo

NUM_LABELS = 2


@dataclasses.dataclass(frozen=True)
class Work:
  """A training step, or generation, of a given size.

  Attributes:
    name: in the tables.
    kind: the phase whose step it is; "generate"; or "product", the product
      of two matrices, the fastest work there is.
    clips: of a batch; or photos; or products one after the other.
    frames: of each clip in the loss.
    sizes: what differs from configs/nemo.py, by its place there.
  """

  name: str
  kind: str
  clips: int = 1
  frames: int = 1
  sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def model(self) -> str:
    """The model whose phase it is."""
    return "video_gan" if self.kind == "video_gan" else "cmm_net"

  @property
  def folder(self) -> str:
    """The phase's: Video-GAN has one for each label."""
    return "video_gan_0" if self.kind == "video_gan" else self.kind

  def config(self) -> ml_collections.ConfigDict:
    """The settings of a run that does this work."""
    config = nemo.get_config()
    config.update_from_flattened_dict(self.sizes)
    if self.kind in config.phases:
      config.phases[self.kind].clips_per_batch = self.clips
      config.phases[self.kind].frames_per_clip = self.frames
    return config


PRODUCT_SIZE = 2048
PRODUCT = Work("product", "product", clips=8)  # a second, as a step takes

# A narrower Video-GAN, since at 128 two cores take seconds for one clip.
_NARROW = {"model.video_gan_width": 32}

WORKS = {
  work.name: work
  for work in (
    Work("vae-64", "vae", 16, 4),
    Work("vae-256", "vae", 64, 4),
    Work("conditional-4", "conditional", 4, 32),
    Work("conditional-16", "conditional", 16, 32),
    Work("modes-4", "modes", 4, 32),
    Work("modes-16", "modes", 16, 32),
    Work("translator-16", "translator", 16, 1),
    Work("translator-64", "translator", 64, 1),
    Work("video_gan-4", "video_gan", 4, 32),
    Work("video_gan_of_width_32-16", "video_gan", 16, 32, _NARROW),
    Work("generate-1", "generate", 1, 32),
    Work("generate-16", "generate", 16, 32),
  )
}


def batch(work: Work) -> dict[str, np.ndarray]:
  """A batch of noise, as `data.pipeline` makes them; the same every time."""
  data = work.config().data
  random = np.random.default_rng(0)
  shown = (work.clips, work.frames)
  face = (data.image_size, data.image_size, 3)
  times = [
    np.sort(random.permutation(data.num_frames)[: work.frames])
    for _ in range(work.clips)
  ]

  def points(*lead):
    low, high = data.image_size / 8, data.image_size * 7 / 8
    return random.uniform(low, high, (*lead, 68, 2)).astype(np.float32)

  def pixels(*lead):
    return random.integers(0, 256, (*lead, *face), dtype=np.uint8)

  return {
    "points": points(*shown),
    "first_points": points(work.clips),
    "frames": pixels(*shown),
    "first_frame": pixels(work.clips),
    "times": np.stack(times).astype(np.int32),
    "label": (np.arange(work.clips) % NUM_LABELS).astype(np.int32),
    "key": np.arange(work.clips, dtype=np.uint32),
  }

"""The config that the builders of video datasets share."""

import dataclasses
from collections.abc import Mapping

import tensorflow_datasets as tfds

from cmm_jax.preprocess import segment


@dataclasses.dataclass
class VideoConfig(tfds.core.BuilderConfig):
  """How videos become clips.

  Custom configs are JSON:
  `tfds build --config '{"name": "mine", "size": 96, "detector": "mediapipe"}'`.

  Attributes:
    size: height and width of the frames in pixels.
    detector: the face detector, "dlib" or "mediapipe".
    thresholds: fields of `cmm_jax.preprocess.segment.Thresholds` to override.
    openface: the folder with OpenFace's tables, `<video>.csv` at any depth; by
      default `openface` in manual_dir, if it exists.
    max_failed_fraction: the fraction of clips that may fail.
    workers: the number of processes; 0 means one per processor.
    seed: of the split, if it is random.

  Raises:
    ValueError: a field has a wrong type or value.
  """

  size: int = 64
  detector: str = "dlib"
  thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
  openface: str = ""
  max_failed_fraction: float = 0.1
  workers: int = 0
  seed: int = 0

  def __post_init__(self):
    types = {"size": int, "max_failed_fraction": (int, float), "workers": int}
    types |= {"seed": int, "thresholds": Mapping}
    for name, kind in types.items():
      value = getattr(self, name)
      if not isinstance(value, kind) or isinstance(value, bool):
        wanted = "an object" if kind is Mapping else "a number"
        raise ValueError(f"The config's {name} is {value!r}: give {wanted}.")
    known = [field.name for field in dataclasses.fields(segment.Thresholds)]
    for name, value in self.thresholds.items():
      if name not in known:
        raise ValueError(
          f"No threshold is called {name!r}; there are {', '.join(known)}."
        )
      if not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(
          f"The threshold {name!r} is {value!r}: give a number, at least 0."
        )
    fraction = self.max_failed_fraction
    if self.size < 16 or not 0 <= fraction <= 1 or self.workers < 0:
      raise ValueError(
        f"The config has size {self.size}, max_failed_fraction {fraction} and "
        f"workers {self.workers}: they must be at least 16, from 0 to 1, and "
        "at least 0."
      )


def standard_configs(
  config_class: type[VideoConfig], **settings
) -> list[VideoConfig]:
  """The configs of every dataset of videos: 64x64 and 128x128."""
  return [
    config_class(
      name=f"{size}x{size}",
      description=f"Frames of {size} by {size} pixels.",
      size=size,
      **settings,
    )
    for size in (64, 128)
  ]


def reject_openface(config: VideoConfig) -> None:
  """Rejects OpenFace's tables for a dataset that has labels.

  Raises:
    ValueError: the config names tables.
  """
  if config.openface:
    raise ValueError(
      f"openface is {config.openface!r}, but this dataset has manual labels, "
      "which are better: leave it out."
    )

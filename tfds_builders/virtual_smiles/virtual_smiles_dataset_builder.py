"""Smiles rendered from a CC0 head, with exact labels; nothing is downloaded.

tfds build tfds_builders/virtual_smiles --config quick --data_dir data
"""

import dataclasses

import tensorflow_datasets as tfds

from cmm_jax.virtual_face import clips, smile, surprise
from tfds_builders import face_clips


@dataclasses.dataclass
class VirtualSmilesConfig(tfds.core.BuilderConfig):
  """Size of the dataset. Splits are by identity, in order."""

  train: int = 0  # identities
  validation: int = 0
  test: int = 0
  posed: int = 0  # clips of all identities
  spontaneous: int = 0
  surprise: int = 0  # if there are any, it is a third label
  size: int = 64  # height and width of the frames in pixels
  seed: int = 0

  @property
  def identities(self) -> int:
    return self.train + self.validation + self.test

  @property
  def labels(self) -> tuple[str, ...]:
    """The labels, in the order of their numbers."""
    return smile.LABELS + (surprise.LABEL,) * bool(self.surprise)


class Builder(face_clips.ClipBuilder):
  """One example per clip."""

  VERSION = tfds.core.Version("2.0.0")
  RELEASE_NOTES = {
    "2.0.0": "Open mouths show single teeth, gums and shadows; only pixels "
    "changed.",
    "1.1.0": "Says where the action units come from.",
    "1.0.0": "First release.",
  }
  BUILDER_CONFIGS = [
    VirtualSmilesConfig(
      name="quick",
      description="60 identities, 360 clips: about a minute on two cores.",
      train=44,
      validation=4,
      test=12,
      posed=180,
      spontaneous=180,
    ),
    VirtualSmilesConfig(
      name="quick_surprise",
      description="The clips of `quick`, and as many of a third expression by "
      "the same identities.",
      train=44,
      validation=4,
      test=12,
      posed=180,
      spontaneous=180,
      surprise=180,
    ),
    *(
      VirtualSmilesConfig(
        name=name,
        description="400 identities and 1240 clips, as many as UvA-NEMO has, "
        f"of {size}x{size} pixels.",
        train=320,
        validation=20,
        test=60,
        posed=643,
        spontaneous=597,
        size=size,
      )
      for name, size in (("full", 64), ("full_128", 128))
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=face_clips.features(
        self.builder_config.size, self.builder_config.labels
      ),
      homepage="https://github.com/makehumancommunity/mpfb2",
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing is downloaded
    config = self.builder_config
    first_test = config.train + config.validation
    return {
      "train": self._generate_examples(0, config.train),
      "validation": self._generate_examples(config.train, first_test),
      "test": self._generate_examples(first_test, config.identities),
    }

  def _generate_examples(self, start, stop):
    config = self.builder_config
    totals = {
      "posed": config.posed,
      "spontaneous": config.spontaneous,
      "surprise": config.surprise,
    }
    identities = range(start, stop)
    counts = [
      {
        label: clips.clips_of(identity, config.identities, total)
        for label, total in totals.items()
      }
      for identity in identities
    ]
    for clip in clips.render_all(
      config.seed, identities, counts, face_clips.NUM_FRAMES, config.size
    ):
      yield (
        clip.name,
        {
          "frames": clip.frames,
          "landmarks": clip.landmarks,
          "action_units": clip.action_units,
          "action_units_source": "rendered truth",
          "label": clip.label,
          "subject": clip.subject,
          "clip": clip.name,
        },
      )

"""Smiles rendered from a CC0 head: nothing to download, every truth known.

tfds build tfds_builders/virtual_smiles --config quick --data_dir data
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from cmm_jax.virtual_face import clips, smile

NUM_FRAMES = 32


@dataclasses.dataclass
class VirtualSmilesConfig(tfds.core.BuilderConfig):
  """How many people smile how often. Splits are by identity, in order."""

  train: int = 0  # identities
  validation: int = 0
  test: int = 0
  posed: int = 0  # clips of all identities together
  spontaneous: int = 0
  size: int = 64  # height and width of the frames in pixels
  seed: int = 0

  @property
  def identities(self) -> int:
    return self.train + self.validation + self.test


class OrderedWriter(tfds.core.ExampleWriter):
  """Writes the features of an example in one order, always.

  They are a map, which protobuf writes in any order unless it is told not to:
  the same examples would else give files of different bytes.
  """

  def write(self, path, examples):
    def ordered():
      for key, example in examples:
        message = tf_example_pb2.Example.FromString(example)
        yield key, message.SerializeToString(deterministic=True)

    return super().write(path, ordered())


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example per clip."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
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
      name="full",
      description="400 identities and 1240 clips, as many as UvA-NEMO has.",
      train=320,
      validation=20,
      test=60,
      posed=643,
      spontaneous=597,
    ),
  ]

  def __init__(self, *, file_format=None, **kwargs):
    # Array records can be read without TensorFlow.
    super().__init__(file_format=file_format or "array_record", **kwargs)

  def _example_writer(self):
    return OrderedWriter(file_format=self.info.file_format)

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.size
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        {
          "frames": tfds.features.Tensor(
            shape=(NUM_FRAMES, size, size, 3),
            dtype=np.uint8,
            encoding=tfds.features.Encoding.ZLIB,
            doc="Aligned face, neutral first.",
          ),
          "landmarks": tfds.features.Tensor(
            shape=(NUM_FRAMES, 68, 2),
            dtype=np.float32,
            doc="In pixels of the frames, x then y.",
          ),
          "action_units": tfds.features.Tensor(
            shape=(NUM_FRAMES, 2),
            dtype=np.float32,
            doc="AU06 and AU12, 0 to 5.",
          ),
          "label": tfds.features.ClassLabel(names=list(smile.LABELS)),
          "subject": tfds.features.Text(doc="Identity."),
          "clip": tfds.features.Text(doc="Stable key."),
        }
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
    totals = {"posed": config.posed, "spontaneous": config.spontaneous}
    identities = range(start, stop)
    counts = [
      {
        label: clips.takes(identity, config.identities, total)
        for label, total in totals.items()
      }
      for identity in identities
    ]
    for clip in clips.draw_all(
      config.seed, identities, counts, NUM_FRAMES, config.size
    ):
      yield (
        clip.name,
        {
          "frames": clip.frames,
          "landmarks": clip.landmarks,
          "action_units": clip.action_units,
          "label": clip.label,
          "subject": clip.subject,
          "clip": clip.name,
        },
      )

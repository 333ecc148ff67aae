"""The stock test of a TFDS builder, and what it leaves out, on three people."""

import pathlib
import tempfile

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.virtual_smiles import virtual_smiles_dataset_builder


class TinyBuilder(virtual_smiles_dataset_builder.Builder):
  """One person per split, two clips each."""

  BUILDER_CONFIGS = [
    virtual_smiles_dataset_builder.VirtualSmilesConfig(
      name="tiny",
      description="Three identities, six clips.",
      train=1,
      validation=1,
      test=1,
      posed=3,
      spontaneous=3,
    )
  ]


class TinyRecordBuilder(TinyBuilder):
  """The same in the format that the stock test can read."""

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class VirtualSmilesTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyRecordBuilder
  SPLITS = {"train": 2, "validation": 2, "test": 2}
  SKIP_CHECKSUMS = True  # nothing is downloaded
  EXAMPLE_DIR = "."  # nothing is read


def prepare(folder):
  builder = TinyBuilder(data_dir=folder, config="tiny")
  builder.download_and_prepare()
  return pathlib.Path(builder.data_dir)


def test_two_builds_write_the_same_bytes_as_array_records():
  with (
    tempfile.TemporaryDirectory() as first,
    tempfile.TemporaryDirectory() as second,
  ):
    written = sorted(prepare(first).glob("*array_record*"))
    again = sorted(prepare(second).glob("*array_record*"))
    assert len(written) == 3
    for one, other in zip(written, again, strict=True):
      assert one.read_bytes() == other.read_bytes()


def test_prepared_clips_are_read_back_and_splits_share_no_one():
  with tempfile.TemporaryDirectory() as folder:
    builder = tfds.builder_from_directory(prepare(folder))
    people = []
    for split in ("train", "validation", "test"):
      clips = list(builder.as_data_source(split))
      people.append({clip["subject"] for clip in clips})
      for clip in clips:
        assert clip["frames"].shape == (32, 64, 64, 3)
        assert clip["landmarks"].dtype == np.float32
        assert np.all(clip["action_units"][:2] == 0)  # neutral first
    assert all(len(one) == 1 for one in people)
    assert len(set.union(*people)) == 3


def test_a_third_expression_is_the_last_label_of_its_config_alone():
  configs = {
    c.name: c for c in virtual_smiles_dataset_builder.Builder.BUILDER_CONFIGS
  }

  assert configs["quick"].labels == ("spontaneous", "posed")
  assert configs["quick_surprise"].labels == (
    "spontaneous",
    "posed",
    "surprise",
  )


if __name__ == "__main__":
  tfds.testing.test_main()

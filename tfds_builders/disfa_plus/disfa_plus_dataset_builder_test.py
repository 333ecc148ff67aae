"""DISFA+'s builder, on a small copy of its layout."""

import pytest
import tensorflow_datasets as tfds
from etils import epath

from tfds_builders import miniatures
from tfds_builders.disfa_plus import disfa_plus_dataset_builder as disfa_plus


class TinyDisfaPlus(miniatures.SharesSightings, disfa_plus.Builder):
  """In the format that the stock test can read."""

  MINIATURE = "disfa_plus"
  BUILDER_CONFIGS = [disfa_plus.DisfaPlusConfig(name="tiny")]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class DisfaPlusTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyDisfaPlus
  SPLITS = {"train": 4, "test": 2}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(miniatures.once("disfa_plus")[0])
    super().setUpClass()


def sources(folder, data_dir, **settings):
  config = disfa_plus.DisfaPlusConfig(name="tiny", **settings)
  builder = disfa_plus.Builder(data_dir=data_dir, config=config)
  return builder._sources(epath.Path(folder))


def test_happy_trials_are_chosen_by_name_and_split_by_lot(tmp_path):
  folder, _ = miniatures.once("disfa_plus")

  splits = sources(folder, tmp_path)
  again = sources(folder, tmp_path)
  other = sources(folder, tmp_path, seed=1)

  assert splits == again and splits != other
  found = [one for split in splits.values() for one in split]
  assert len(splits["train"]) == 4 and len(splits["test"]) == 2
  assert all("happy" in one.key for one in found)
  assert {one.subject for one in found} == {"SN001", "SN003", "SN027"}
  assert {one.label for one in found} == {"posed"}


def trial(folder, subject, name, au06, au12):
  for kind in ("images", "Labels"):
    (folder / kind / subject / subject / name).mkdir(parents=True)
  (folder / "images" / subject / subject / name / "000.jpg").touch()
  for unit, values in ((6, au06), (12, au12)):
    rows = "".join(f"{i:03d}.jpg  {v}\n" for i, v in enumerate(values))
    file = folder / "Labels" / subject / subject / name / f"AU{unit}.txt"
    file.write_text("two\nheaders\n" + rows)


def test_trials_can_be_chosen_by_what_their_labels_do(tmp_path):
  trial(tmp_path, "SN001", "B1_TrailNo_1", [0, 1, 1], [0, 1, 2])
  trial(tmp_path, "SN001", "B2_TrailNo_1", [0, 0, 0], [0, 1, 2])  # no AU06
  trial(tmp_path, "SN001", "B3_TrailNo_1", [0, 1, 1], [1, 2, 3])  # not from 0
  trial(tmp_path, "SN001", "B4_TrailNo_1", [0, 1, 1], [0, 1, 1])  # too weak
  trial(tmp_path, "sn003", "B5_TrailNo_1", [0, 2, 1], [0, 5, 0])

  splits = sources(tmp_path, tmp_path / "data", by_rule=True)

  assert {one.key for split in splits.values() for one in split} == {
    "disfa_plus_SN001_b1_trailno_1",
    "disfa_plus_SN003_b5_trailno_1",
  }


def test_a_pattern_that_no_trial_fits_names_some(tmp_path):
  trial(tmp_path, "SN001", "A1_AU1_TrailNo_1", [0], [0])

  with pytest.raises(
    ValueError, match=r"None of the 1 trials .*A1_AU1_TrailNo"
  ):
    sources(tmp_path, tmp_path / "data")


def test_missing_images_or_labels_say_what_was_looked_for(tmp_path):
  trial(tmp_path, "SN001", "Y_Happy", [0], [0])
  (tmp_path / "Labels").rename(tmp_path / "elsewhere")

  with pytest.raises(FileNotFoundError, match=r"No labels in .*AU12\.txt"):
    sources(tmp_path, tmp_path / "data")
  (tmp_path / "elsewhere").rename(tmp_path / "Labels")
  (tmp_path / "images").rename(tmp_path / "elsewhere")
  with pytest.raises(FileNotFoundError, match=r"No images in .*000\.jpg"):
    sources(tmp_path, tmp_path / "data")


def test_a_trial_in_two_folders_is_refused(tmp_path):
  trial(tmp_path, "SN001", "Y_Happy", [0], [0])
  (tmp_path / "Images" / "SN001" / "Y_Happy").mkdir(parents=True)
  (tmp_path / "Images" / "SN001" / "Y_Happy" / "000.jpg").touch()

  with pytest.raises(ValueError, match="'Y_Happy' of SN001 is there twice"):
    sources(tmp_path, tmp_path / "data")


if __name__ == "__main__":
  tfds.testing.test_main()

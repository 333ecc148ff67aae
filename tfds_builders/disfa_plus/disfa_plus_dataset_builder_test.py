"""DISFA+'s builder on a fake copy of the dataset."""

import pytest
import shared_fake_data
import tensorflow_datasets as tfds
from etils import epath

from tfds_builders.disfa_plus import disfa_plus_dataset_builder as disfa_plus


class TinyDisfaPlus(shared_fake_data.SharedDetections, disfa_plus.Builder):
  """Writes the format that the stock test reads."""

  FAKE_DATASET = "disfa_plus"
  BUILDER_CONFIGS = [disfa_plus.DisfaPlusConfig(name="tiny")]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class DisfaPlusTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyDisfaPlus
  SPLITS = {"train": 4, "test": 2}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(shared_fake_data.write_once("disfa_plus")[0])
    super().setUpClass()


def find_videos(folder, data_dir, **settings):
  config = disfa_plus.DisfaPlusConfig(name="tiny", **settings)
  builder = disfa_plus.Builder(data_dir=data_dir, config=config)
  return builder.find_videos(epath.Path(folder))


def test_happy_trials_are_selected_by_name_and_split_at_random(tmp_path):
  folder, _ = shared_fake_data.write_once("disfa_plus")

  splits = find_videos(folder, tmp_path)
  again = find_videos(folder, tmp_path)
  other = find_videos(folder, tmp_path, seed=1)

  assert splits == again and splits != other
  videos = [video for split in splits.values() for video in split]
  assert len(splits["train"]) == 4 and len(splits["test"]) == 2
  assert all("happy" in video.key for video in videos)
  assert {video.subject for video in videos} == {"SN001", "SN003", "SN027"}
  assert {video.label for video in videos} == {"posed"}


def write_trial(folder, subject, name, au06, au12):
  for kind in ("images", "Labels"):
    (folder / kind / subject / subject / name).mkdir(parents=True)
  (folder / "images" / subject / subject / name / "000.jpg").touch()
  for unit, values in ((6, au06), (12, au12)):
    rows = "".join(f"{i:03d}.jpg  {v}\n" for i, v in enumerate(values))
    file = folder / "Labels" / subject / subject / name / f"AU{unit}.txt"
    file.write_text("two\nheaders\n" + rows)


def test_trials_can_be_selected_by_their_labels(tmp_path):
  for number, (subject, au06, au12) in enumerate(
    (
      ("SN001", [0, 1, 1], [0, 1, 2]),
      ("SN001", [0, 0, 0], [0, 1, 2]),  # no AU06
      ("SN001", [0, 1, 1], [1, 2, 3]),  # does not start at 0
      ("SN001", [0, 1, 1], [0, 1, 1]),  # too weak
      ("sn003", [0, 2, 1], [0, 5, 0]),
    ),
    start=1,
  ):
    write_trial(tmp_path, subject, f"B{number}_TrailNo_1", au06, au12)

  splits = find_videos(tmp_path, tmp_path / "data", by_labels=True)

  assert {video.key for split in splits.values() for video in split} == {
    "disfa_plus_SN001_b1_trailno_1",
    "disfa_plus_SN003_b5_trailno_1",
  }


def test_a_pattern_without_a_match_is_an_error_that_names_trials(tmp_path):
  write_trial(tmp_path, "SN001", "A1_AU1_TrailNo_1", [0], [0])

  with pytest.raises(
    ValueError, match=r"None of the 1 trials .*A1_AU1_TrailNo"
  ):
    find_videos(tmp_path, tmp_path / "data")


def test_missing_images_or_labels_are_an_error_with_an_example(tmp_path):
  write_trial(tmp_path, "SN001", "Y_Happy", [0], [0])
  (tmp_path / "Labels").rename(tmp_path / "elsewhere")

  with pytest.raises(FileNotFoundError, match=r"No labels in .*AU12\.txt"):
    find_videos(tmp_path, tmp_path / "data")
  (tmp_path / "elsewhere").rename(tmp_path / "Labels")
  (tmp_path / "images").rename(tmp_path / "elsewhere")
  with pytest.raises(FileNotFoundError, match=r"No images in .*000\.jpg"):
    find_videos(tmp_path, tmp_path / "data")


def test_a_trial_in_two_folders_is_rejected(tmp_path):
  write_trial(tmp_path, "SN001", "Y_Happy", [0], [0])
  (tmp_path / "Images" / "SN001" / "Y_Happy").mkdir(parents=True)
  (tmp_path / "Images" / "SN001" / "Y_Happy" / "000.jpg").touch()

  with pytest.raises(ValueError, match="two copies of 'Y_Happy'"):
    find_videos(tmp_path, tmp_path / "data")


if __name__ == "__main__":
  tfds.testing.test_main()

"""The builder of the user's own videos."""

import pytest
import shared_fake_data
import tensorflow_datasets as tfds
from etils import epath

from tfds_builders.video_folder import video_folder_dataset_builder as folders


class TinyFolder(shared_fake_data.SharedDetections, folders.Builder):
  """Finds segments by movement; writes the format that the stock test reads."""

  FAKE_DATASET = "video_folder"
  BUILDER_CONFIGS = [
    folders.VideoFolderConfig(
      name="tiny", segment="movement", thresholds={"neutral_level": 0.25}
    )
  ]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class VideoFolderTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyFolder
  SPLITS = {"train": 4, "test": 2}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(shared_fake_data.write_once("video_folder")[0])
    super().setUpClass()


def find_videos(folder, **settings):
  config = folders.VideoFolderConfig(name="tiny", **settings)
  builder = folders.Builder(data_dir=folder / "data", config=config)
  return builder, builder.find_videos(epath.Path(folder))


def fill(folder, *names):
  for name in names:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
  return folder


def test_folders_are_labels_and_names_begin_with_subjects(tmp_path):
  folder = fill(
    tmp_path,
    *(f"{label}/{who}_1.mp4" for label in ("sad", "glad") for who in "abc"),
    "sad/c_2.MOV",
    "glad/d-3/0001.jpg",
    "glad/notes.txt",
    "OpenFace/sad/a_1.csv",
    "__MACOSX/sad/._a_1.mp4",
  )

  builder, splits = find_videos(folder)

  assert builder.info.features["label"].names == ["glad", "sad"]
  videos = [video for split in splits.values() for video in split]
  assert len(videos) == 8
  assert {video.subject for video in videos} == set("abcd")
  train, test = (
    {video.subject for video in split} for split in splits.values()
  )
  assert not train & test
  tables = [video.key for video in videos if video.action_units is not None]
  assert tables == ["sad_a_1"]
  (frames,) = (video for video in videos if video.subject == "d")
  assert frames.path.name == "d-3" and frames.frames_per_second == 25


def test_a_table_can_name_the_subjects(tmp_path):
  folder = fill(tmp_path, "glad/1.mp4", "glad/2.mp4", "sad/1.mp4")
  (folder / "subjects.csv").write_text(
    "video,subject\nglad/1.mp4,anna\n2,bo\nsad/1,carl\n"
  )

  _, splits = find_videos(folder)

  subjects = {
    video.key: video.subject for split in splits.values() for video in split
  }
  assert subjects == {"glad_1": "anna", "glad_2": "bo", "sad_1": "carl"}
  (folder / "subjects.csv").write_text("video,subject\nglad/1.mp4,anna\n")
  with pytest.raises(ValueError, match=r"add the line 'glad/2\.mp4,<subject>'"):
    find_videos(folder)
  (folder / "subjects.csv").write_text("file,who\n")
  with pytest.raises(ValueError, match="must be video,subject"):
    find_videos(folder)


def test_videos_of_fewer_than_three_subjects_are_split_by_video(tmp_path):
  folder = fill(tmp_path, *(f"glad/me_{i}.mp4" for i in range(6)))

  _, splits = find_videos(folder)

  assert (len(splits["train"]), len(splits["test"])) == (4, 2)


def test_a_folder_without_videos_is_an_error_with_the_layout(tmp_path):
  fill(tmp_path, "glad/notes.txt", "lonely.mp4")

  with pytest.raises(FileNotFoundError, match=r"has 0 videos .*<label>/<sub"):
    find_videos(tmp_path)


def test_two_videos_of_the_same_name_are_rejected(tmp_path):
  fill(tmp_path, "glad/a_1.mp4", "glad/a_1.mov")

  with pytest.raises(ValueError, match=r"'a_1\.mov' and 'a_1\.mp4'; rename"):
    find_videos(tmp_path)


def test_a_table_that_fits_two_videos_is_rejected(tmp_path):
  fill(tmp_path, "glad/a_1.mp4", "sad/a_1.mp4", "openface/a_1.csv")

  with pytest.raises(ValueError, match="fits glad_a_1 and sad_a_1"):
    find_videos(tmp_path)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"thresholds": {"grin": 1}}, "'grin'; there are smoothing, min_au12_rise"),
    ({"thresholds": {"plateau_level": "1"}}, "'plateau_level' is '1': give"),
    ({"size": "96"}, "config's size is '96'"),
    ({"size": 0}, "size 0.* at least 16"),
    ({"max_failed_fraction": "0.3"}, "max_failed_fraction is '0.3'"),
    ({"max_failed_fraction": 3}, "max_failed_fraction 3"),
  ],
)
def test_an_invalid_config_is_rejected(settings, message):
  with pytest.raises(ValueError, match=message):
    folders.VideoFolderConfig(name="mine", **settings)


def build(data_dir, manual_dir, **settings):
  config = folders.VideoFolderConfig(name="mine", workers=1, **settings)
  builder = folders.Builder(data_dir=data_dir, config=config)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
  )


def test_two_videos_with_the_same_key_are_rejected(tmp_path):
  fill(tmp_path / "in", "smile/a_b.mp4", "smile_a/b.mov", "sad/c.mp4")

  with pytest.raises(ValueError, match="same key 'smile_a_b'"):
    build(tmp_path / "data", tmp_path / "in")


def test_a_build_without_clips_is_an_error_that_says_why(tmp_path, capsys):
  fill(tmp_path / "in", "sad/a_1.mp4", "sad/b_1.mp4", "sad/c_1.mp4")

  with pytest.raises(ValueError, match=r"(?s)2 of 3 clips .* is empty"):
    build(tmp_path / "data", tmp_path / "in")


if __name__ == "__main__":
  tfds.testing.test_main()

"""The builder of one's own videos."""

import pytest
import tensorflow_datasets as tfds
from etils import epath

from tfds_builders import miniatures
from tfds_builders.video_folder import video_folder_dataset_builder as folders


class TinyFolder(miniatures.SharesSightings, folders.Builder):
  """Cut by the landmarks' movement, in the format the stock test can read."""

  MINIATURE = "video_folder"
  BUILDER_CONFIGS = [
    folders.VideoFolderConfig(
      name="tiny", cut="movement", thresholds={"neutral": 0.25}
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
    cls.EXAMPLE_DIR = str(miniatures.once("video_folder")[0])
    super().setUpClass()


def sources(folder, **settings):
  config = folders.VideoFolderConfig(name="tiny", **settings)
  builder = folders.Builder(data_dir=folder / "data", config=config)
  return builder, builder._sources(epath.Path(folder))


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

  builder, splits = sources(folder)

  assert builder.info.features["label"].names == ["glad", "sad"]
  found = [one for split in splits.values() for one in split]
  assert len(found) == 8
  assert {one.subject for one in found} == set("abcd")
  people = [{one.subject for one in split} for split in splits.values()]
  assert not people[0] & people[1]  # nobody is in both
  tables = [one.key for one in found if one.units is not None]
  assert tables == ["sad_a_1"]
  (frames,) = (one for one in found if one.subject == "d")
  assert frames.path.name == "d-3" and frames.frames_per_second == 25


def test_a_table_may_say_who_is_seen(tmp_path):
  folder = fill(tmp_path, "glad/1.mp4", "glad/2.mp4", "sad/1.mp4")
  (folder / "subjects.csv").write_text(
    "video,subject\nglad/1.mp4,anna\n2,bo\nsad/1,carl\n"
  )

  _, splits = sources(folder)

  found = {one.key: one.subject for split in splits.values() for one in split}
  assert found == {"glad_1": "anna", "glad_2": "bo", "sad_1": "carl"}
  (folder / "subjects.csv").write_text("video,subject\nglad/1.mp4,anna\n")
  with pytest.raises(ValueError, match=r"add the line 'glad/2\.mp4,<subject>'"):
    sources(folder)
  (folder / "subjects.csv").write_text("file,who\n")
  with pytest.raises(ValueError, match="have to be video,subject"):
    sources(folder)


def test_too_few_people_to_keep_any_apart_are_split_by_video(tmp_path):
  folder = fill(tmp_path, *(f"glad/me_{i}.mp4" for i in range(6)))

  _, splits = sources(folder)

  assert (len(splits["train"]), len(splits["test"])) == (4, 2)


def test_a_folder_without_videos_says_how_to_lay_them_out(tmp_path):
  fill(tmp_path, "glad/notes.txt", "lonely.mp4")

  with pytest.raises(FileNotFoundError, match=r"holds 0 videos .*<label>/<sub"):
    sources(tmp_path)


def test_two_videos_of_one_name_are_refused(tmp_path):
  fill(tmp_path, "glad/a_1.mp4", "glad/a_1.mov")

  with pytest.raises(ValueError, match=r"'a_1\.mov' and 'a_1\.mp4'; rename"):
    sources(tmp_path)


def test_a_table_that_fits_two_videos_is_refused(tmp_path):
  fill(tmp_path, "glad/a_1.mp4", "sad/a_1.mp4", "openface/a_1.csv")

  with pytest.raises(ValueError, match="fits glad_a_1 and sad_a_1"):
    sources(tmp_path)


@pytest.mark.parametrize(
  ("settings", "says"),
  [
    ({"thresholds": {"grin": 1}}, "'grin'; there are smoothing, smile"),
    ({"thresholds": {"smile": "1"}}, "'smile' is '1': give a number"),
    ({"size": "96"}, "size of the config is '96'"),
    ({"size": 0}, "size 0.* at least 16"),
    ({"bad_share": "0.3"}, "bad_share of the config is '0.3'"),
    ({"bad_share": 3}, "bad_share 3"),
  ],
)
def test_a_config_that_cannot_be_says_so_before_any_work(settings, says):
  with pytest.raises(ValueError, match=says):
    folders.VideoFolderConfig(name="mine", **settings)


def build(data_dir, manual_dir, **settings):
  config = folders.VideoFolderConfig(name="mine", workers=1, **settings)
  builder = folders.Builder(data_dir=data_dir, config=config)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
  )


def test_two_videos_of_one_key_are_refused(tmp_path):
  fill(tmp_path / "in", "smile/a_b.mp4", "smile_a/b.mov", "sad/c.mp4")

  with pytest.raises(ValueError, match="both be called 'smile_a_b'"):
    build(tmp_path / "data", tmp_path / "in")


def test_a_build_without_any_clip_says_why(tmp_path, capsys):
  fill(tmp_path / "in", "sad/a_1.mp4", "sad/b_1.mp4", "sad/c_1.mp4")

  with pytest.raises(ValueError, match=r"(?s)2 of 3 clips .* is empty"):
    build(tmp_path / "data", tmp_path / "in")


if __name__ == "__main__":
  tfds.testing.test_main()

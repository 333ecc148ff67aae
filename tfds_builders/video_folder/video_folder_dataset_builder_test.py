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
    "openface/sad/a_1.csv",
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


def test_a_threshold_that_does_not_exist_is_named(tmp_path):
  builder = folders.Builder(
    data_dir=tmp_path,
    config=folders.VideoFolderConfig(name="tiny", thresholds={"grin": 1}),
  )

  with pytest.raises(ValueError, match="'grin'; there are smoothing, smile"):
    builder._settings()


if __name__ == "__main__":
  tfds.testing.test_main()

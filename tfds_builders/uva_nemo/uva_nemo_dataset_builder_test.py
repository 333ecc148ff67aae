"""UvA-NEMO's builder on a fake copy of the dataset."""

import pytest
import shared_fake_data
import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import action_units
from tfds_builders.uva_nemo import uva_nemo_dataset_builder as uva_nemo


class TinyNemo(shared_fake_data.SharedDetections, uva_nemo.Builder):
  """Two of the six fake videos fail on purpose."""

  FAKE_DATASET = "uva_nemo"
  BUILDER_CONFIGS = [
    uva_nemo.UvaNemoConfig(name="tiny", max_failed_fraction=0.4, workers=2)
  ]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class UvaNemoTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyNemo
  SPLITS = {"train": 2, "test": 2}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(shared_fake_data.write_once("uva_nemo")[0])
    super().setUpClass()


def find_videos(folder, **settings):
  config = uva_nemo.UvaNemoConfig(name="tiny", **settings)
  builder = uva_nemo.Builder(data_dir=folder / "data", config=config)
  return builder.find_videos(epath.Path(folder))


@pytest.fixture
def layout(tmp_path):
  """A layout of empty files."""

  def make(*names):
    videos = tmp_path / "UvA-NEMO_SMILE_DATABASE" / "videos"
    videos.mkdir(parents=True)
    for name in names:
      (videos / name).touch()
    return tmp_path

  return make


def keys(split):
  return [video.key for video in split]


def test_the_test_fold_of_the_paper_has_41_subjects():
  assert len(uva_nemo.FOLD_10) == 41
  assert {"004", "155", "553"} < uva_nemo.FOLD_10


def test_videos_are_split_and_labeled_by_name(layout):
  folder = layout(
    "003_deliberate_smile_7.mp4",
    "004_Spontaneous_Smile_2.MP4",
    "553_deliberate_smile_1.mp4",
    "readme.txt",
  )

  splits = find_videos(folder)

  assert keys(splits["train"]) == ["003_deliberate_smile_7"]
  test = splits["test"]
  assert keys(test) == ["004_spontaneous_smile_2", "553_deliberate_smile_1"]
  assert [video.label for video in test] == ["spontaneous", "posed"]
  assert [video.subject for video in test] == ["004", "553"]


def test_openfaces_tables_and_given_segments_are_found(layout):
  folder = layout("003_deliberate_smile_7.mp4", "004_spontaneous_smile_2.mp4")
  (folder / "OpenFace" / "processed").mkdir(parents=True)
  (folder / "OpenFace" / "processed" / "003_DELIBERATE_smile_7.csv").touch()
  (folder / "uva_nemo_segments.csv").write_text(
    "clip,start,end\n004_spontaneous_smile_2,5,60\n"
  )

  splits = find_videos(folder)

  assert isinstance(splits["train"][0].action_units, action_units.OpenFaceTable)
  assert splits["test"][0].action_units is None
  assert splits["test"][0].segments == ((5, 60),)
  with pytest.raises(FileNotFoundError, match=r"No tables in .*elsewhere"):
    find_videos(folder, openface=str(folder / "elsewhere"))


def test_tables_none_of_which_fits_a_video_are_an_error(layout):
  folder = layout("003_deliberate_smile_7.mp4")
  (folder / "openface").mkdir()
  (folder / "openface" / "smile.csv").touch()

  with pytest.raises(FileNotFoundError, match=r"None of the 1 tables .*'smile"):
    find_videos(folder)


@pytest.mark.parametrize("headers", [0, 4, 5])
def test_missing_videos_of_the_file_details_are_listed(layout, headers):
  folder = layout("003_deliberate_smile_7.mp4")
  lines = ["\ufeffheader\tline"] * headers
  lines += ["003_deliberate_smile_7.mp4\t3\tmale\t20\tdeliberate\t"]
  lines += ["005_spontaneous_smile_1.mp4\t5\tmale\t20\tspontaneous"]
  (folder / "UvA-NEMO_Smile_Database_File_Details.txt").write_text(
    "\n".join(lines)
  )

  splits = find_videos(folder)

  names = ["003_deliberate_smile_7", "005_spontaneous_smile_1"]
  assert keys(splits["train"]) == names


@pytest.mark.parametrize(
  "line",
  [
    "003_deliberate_smile_7.mp4\t4\tmale\t20\tdeliberate",
    "003_deliberate_smile_7.mp4\t3\tmale\t20\tspontaneous",
    "003_deliberate_smile_7.mp4",
    "smile.mp4\t3\tmale\t20\tdeliberate",
  ],
)
def test_file_details_that_disagree_with_a_name_are_an_error(layout, line):
  folder = layout("003_deliberate_smile_7.mp4")
  (folder / "file_details.txt").write_text(f"header\n{line}\n")

  with pytest.raises(ValueError, match=r"Line 2 of .*does not agree"):
    find_videos(folder)


def test_another_fold_needs_a_table_of_folds(layout):
  names = [f"{subject:03d}_deliberate_smile_1.mp4" for subject in (1, 2, 3)]
  folder = layout(*names)

  with pytest.raises(
    FileNotFoundError, match=r"test_fold = 3, save .*folds\.csv"
  ):
    find_videos(folder, test_fold=3)
  (folder / "folds.csv").write_text("subject,fold\n1,3\n2,4\n003,10\n")
  assert keys(find_videos(folder, test_fold=3)["test"]) == [
    "001_deliberate_smile_1"
  ]
  assert keys(find_videos(folder)["test"]) == ["003_deliberate_smile_1"]
  with pytest.raises(ValueError, match=r"has no fold 7; it has 10, 3, 4"):
    find_videos(folder, test_fold=7)
  (folder / "folds.csv").write_text("subject,fold\n1,3\n")
  with pytest.raises(ValueError, match=r"no fold for subject 002 and 1 more"):
    find_videos(folder)
  (folder / "folds.csv").write_text("who,fold\n1,3\n")
  with pytest.raises(ValueError, match="must be subject,fold"):
    find_videos(folder)


def test_missing_videos_are_an_error_with_an_example(tmp_path):
  (tmp_path / "smile.mp4").touch()

  with pytest.raises(FileNotFoundError, match=r"001_deliberate_smile_2\.mp4"):
    find_videos(tmp_path)


def test_a_video_in_two_folders_is_rejected(layout):
  folder = layout("003_deliberate_smile_7.mp4")
  (folder / "003_deliberate_smile_7.mp4").touch()

  with pytest.raises(ValueError, match="two copies of"):
    find_videos(folder)


if __name__ == "__main__":
  tfds.testing.test_main()

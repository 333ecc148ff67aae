"""DISFA's builder, on a small copy of its layout."""

import pathlib

import pytest
import tensorflow_datasets as tfds
from etils import epath

from tfds_builders import miniatures
from tfds_builders.disfa import disfa_dataset_builder as disfa


class TinyDisfa(miniatures.SharesSightings, disfa.Builder):
  """In the format that the stock test can read."""

  MINIATURE = "disfa"
  BUILDER_CONFIGS = [disfa.DisfaConfig(name="tiny")]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class DisfaTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyDisfa
  SPLITS = {"train": 3, "test": 1}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(miniatures.once("disfa")[0])
    super().setUpClass()


class SharingDisfa(miniatures.SharesSightings, disfa.Builder):
  """In the usual format."""

  MINIATURE = "disfa"


def build(builder_class, folder, **options):
  builder = builder_class(data_dir=folder, config="64x64")
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(
      manual_dir=miniatures.once("disfa")[0], **options
    )
  )
  return pathlib.Path(builder.data_dir)


def test_beam_gives_the_same_bytes_as_the_plain_build(tmp_path, capsys):
  from apache_beam.options import pipeline_options

  options = pipeline_options.PipelineOptions(["--runner=DirectRunner"])
  plain = build(SharingDisfa, tmp_path / "plain")
  said = capsys.readouterr().out
  beamed = build(disfa.Builder, tmp_path / "beam", beam_options=options)
  said_by_beam = capsys.readouterr().out

  records = sorted(file.name for file in plain.glob("*array_record*"))
  assert len(records) == 2
  for name in records:
    other = name.replace("sharing_disfa", "disfa")
    assert (plain / name).read_bytes() == (beamed / other).read_bytes()
  reason = "no smile in disfa_SN032: AU12 rises by 1.0 at most"
  assert reason in said and reason in said_by_beam


def sources(folder, **settings):
  config = disfa.DisfaConfig(name="tiny", **settings)
  builder = disfa.Builder(data_dir=folder / "data", config=config)
  splits = builder._sources(epath.Path(folder))
  return {one.key: one for split in splits.values() for one in split}


@pytest.fixture
def layout(tmp_path):
  """A video of two smiles by its labels, and one without its labels."""
  videos = tmp_path / "Video_LeftCamera"
  videos.mkdir()
  (videos / "LeftVideoSN001_Comp.avi").touch()
  (videos / "leftvideoSN002_comp.AVI").touch()
  labels = tmp_path / "actionunit_labels" / "SN001" / "SN001"
  labels.mkdir(parents=True)
  values = 2 * ([0] * 40 + [1, 2, 3] + [3] * 40 + [0] * 40)
  text = "".join(f"{i},{v}\n" for i, v in enumerate(values, start=1))
  for unit in (6, 12):
    (labels / f"SN001_au{unit}.txt").write_text(text)
  return tmp_path


def test_each_smile_of_the_labels_is_a_clip_of_its_own(layout):
  found = sources(layout)

  (first,), (second,) = (
    one.cuts for key, one in found.items() if key.startswith("disfa_SN001")
  )
  assert 38 <= first[0] <= 40 and 41 <= first[1] <= 44
  assert second[0] - first[0] == second[1] - first[1] == 123
  assert {one.subject for one in found.values()} == {"SN001", "SN002"}
  assert {one.label for one in found.values()} == {"spontaneous"}


def test_a_video_without_labels_is_kept_to_be_listed(layout):
  one = sources(layout)["disfa_SN002"]

  assert one.cuts is None
  with pytest.raises(FileNotFoundError, match=r"SN002_au6\.txt"):
    one.units.labels()


def test_a_users_segments_are_all_that_is_taken(layout):
  (layout / "disfa_segments.csv").write_text("subject,start,end\nSN002,7,30\n")

  found = sources(layout)

  assert list(found) == ["disfa_SN002_00007"]
  assert found["disfa_SN002_00007"].cuts == ((7, 30),)


def test_segments_of_someone_unknown_are_refused(layout):
  (layout / "disfa_segments.csv").write_text("subject,start,end\nSN099,7,30\n")

  with pytest.raises(ValueError, match=r"the subject 'SN099', which is not th"):
    sources(layout)


def test_tables_and_copies_are_not_taken_for_the_video(layout):
  (layout / "openface").mkdir()
  (layout / "openface" / "LeftVideoSN001_comp.csv").touch()

  assert sources(layout)["disfa_SN002"].path.suffix == ".AVI"
  with pytest.raises(ValueError, match="has labels of its own"):
    sources(layout, openface=str(layout / "openface"))
  (layout / "LeftVideoSN001_comp.avi").touch()
  with pytest.raises(ValueError, match=r"is there twice, .*: keep one"):
    sources(layout)


def test_the_right_camera_has_videos_of_its_own(layout):
  videos = layout / "Videos_RightCamera"
  videos.mkdir()
  (videos / "RightVideoSN001_Comp.avi").touch()

  found = sources(layout, camera="right")

  assert {one.path.name for one in found.values()} == {
    "RightVideoSN001_Comp.avi"
  }
  with pytest.raises(ValueError, match="'top'; choose left or right"):
    sources(layout, camera="top")


def test_a_folder_without_videos_or_labels_says_what_was_looked_for(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"LeftVideoSN001_comp\.avi"):
    sources(tmp_path)
  (tmp_path / "LeftVideoSN001_comp.avi").touch()
  with pytest.raises(FileNotFoundError, match=r"SN001_au12\.txt"):
    sources(tmp_path)


if __name__ == "__main__":
  tfds.testing.test_main()

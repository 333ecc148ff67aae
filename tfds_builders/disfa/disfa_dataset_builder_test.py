"""DISFA's builder on a fake copy of the dataset."""

import contextlib
import io
import pathlib

import portable_beam
import pytest
import shared_fake_data
import tensorflow_datasets as tfds
from apache_beam.options import pipeline_options
from etils import epath

from tfds_builders.disfa import disfa_dataset_builder as disfa


class TinyDisfa(shared_fake_data.SharedDetections, disfa.Builder):
  """Writes the format that the stock test reads."""

  FAKE_DATASET = "disfa"
  BUILDER_CONFIGS = [disfa.DisfaConfig(name="tiny")]

  def __init__(self, **kwargs):
    super().__init__(file_format="tfrecord", **kwargs)


class DisfaTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = TinyDisfa
  SPLITS = {"train": 3, "test": 1}
  SKIP_CHECKSUMS = True  # nothing is downloaded

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = str(shared_fake_data.write_once("disfa")[0])
    super().setUpClass()


class SharingDisfa(shared_fake_data.SharedDetections, disfa.Builder):
  """Writes the default format."""

  FAKE_DATASET = "disfa"


def build(builder_class, folder, **options):
  builder = builder_class(data_dir=folder, config="64x64")
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(
      manual_dir=shared_fake_data.write_once("disfa")[0], **options
    )
  )
  return pathlib.Path(builder.data_dir)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
  """The folder of the dataset, built by local processes, and their report."""
  with contextlib.redirect_stdout(io.StringIO()) as report:
    folder = build(SharingDisfa, tmp_path_factory.mktemp("local"))
  return folder, report.getvalue()


def assert_same_bytes(local, other):
  records = sorted(file.name for file in local.glob("*array_record*"))
  assert len(records) == 2
  for name in records:
    by_beam = other / name.replace("sharing_disfa", other.parents[1].name)
    assert by_beam.read_bytes() == (local / name).read_bytes()


def test_beam_writes_the_same_bytes_as_local_processes(local, tmp_path, capsys):
  options = pipeline_options.PipelineOptions(["--runner=DirectRunner"])

  by_beam = build(disfa.Builder, tmp_path, beam_options=options)

  folder, report = local
  assert_same_bytes(folder, by_beam)
  reason = "no smile: disfa_SN032: AU12 rises by 1.0 at most"
  assert reason in report and reason in capsys.readouterr().out


def test_the_worker_of_a_portable_beam_job_writes_the_same_bytes(
  local, tmp_path
):
  with portable_beam.start(tmp_path) as arguments:
    options = pipeline_options.PipelineOptions(arguments)
    by_beam = build(SharingDisfa, tmp_path / "data", beam_options=options)

  assert_same_bytes(local[0], by_beam)


def find_videos(folder, **settings):
  config = disfa.DisfaConfig(name="tiny", **settings)
  builder = disfa.Builder(data_dir=folder / "data", config=config)
  splits = builder.find_videos(epath.Path(folder))
  return {video.key: video for split in splits.values() for video in split}


@pytest.fixture
def layout(tmp_path):
  """A video with two smiles by its labels, and one without labels."""
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


def test_each_smile_by_the_labels_is_a_clip(layout):
  videos = find_videos(layout)

  (first,), (second,) = (
    video.segments
    for key, video in videos.items()
    if key.startswith("disfa_SN001")
  )
  assert 38 <= first[0] <= 40 and 41 <= first[1] <= 44
  assert second[0] - first[0] == second[1] - first[1] == 123
  assert {video.subject for video in videos.values()} == {"SN001", "SN002"}
  assert {video.label for video in videos.values()} == {"spontaneous"}


def test_a_video_without_labels_is_listed(layout):
  video = find_videos(layout)["disfa_SN002"]

  assert video.segments is None
  with pytest.raises(FileNotFoundError, match=r"SN002_au6\.txt"):
    video.action_units.labels()


def test_given_segments_replace_those_by_the_labels(layout):
  (layout / "disfa_segments.csv").write_text("subject,start,end\nSN002,7,30\n")

  videos = find_videos(layout)

  assert list(videos) == ["disfa_SN002_00007"]
  assert videos["disfa_SN002_00007"].segments == ((7, 30),)


def test_segments_of_an_unknown_subject_are_rejected(layout):
  (layout / "disfa_segments.csv").write_text("subject,start,end\nSN099,7,30\n")

  with pytest.raises(ValueError, match=r"unknown subject 'SN099'"):
    find_videos(layout)


def test_openfaces_tables_and_copies_of_a_video_are_rejected(layout):
  (layout / "openface").mkdir()
  (layout / "openface" / "LeftVideoSN001_comp.csv").touch()

  assert find_videos(layout)["disfa_SN002"].path.suffix == ".AVI"
  with pytest.raises(ValueError, match="has manual labels"):
    find_videos(layout, openface=str(layout / "openface"))
  (layout / "LeftVideoSN001_comp.avi").touch()
  with pytest.raises(ValueError, match=r"two copies of .*: remove one"):
    find_videos(layout)


def test_the_right_camera_has_its_own_videos(layout):
  videos = layout / "Videos_RightCamera"
  videos.mkdir()
  (videos / "RightVideoSN001_Comp.avi").touch()

  found = find_videos(layout, camera="right")

  assert {video.path.name for video in found.values()} == {
    "RightVideoSN001_Comp.avi"
  }
  with pytest.raises(ValueError, match="'top'; choose left or right"):
    find_videos(layout, camera="top")


def test_missing_videos_or_labels_are_an_error_with_an_example(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"LeftVideoSN001_comp\.avi"):
    find_videos(tmp_path)
  (tmp_path / "LeftVideoSN001_comp.avi").touch()
  with pytest.raises(FileNotFoundError, match=r"SN001_au12\.txt"):
    find_videos(tmp_path)


if __name__ == "__main__":
  tfds.testing.test_main()

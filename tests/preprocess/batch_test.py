"""Preprocessing many videos, some of which cannot be used."""

import csv
import errno
import json
import os

import numpy as np
import pytest
from etils import epath

from cmm_jax.preprocess import batch, clip, pipeline, results, segment


def clip_of(source):
  """A clip as if it were made from a video."""
  times = np.arange(60) / 25
  curves = np.stack([0 * times, 2 * times], axis=1)
  frame_numbers = segment.sample_frames(times, 5, 20, 32)
  return clip.Clip(
    key=source.key,
    source=source,
    frames=np.full((32, 64, 64, 3), 120, np.uint8),
    landmarks=np.full((32, 68, 2), 30, np.float32),
    action_units=curves[frame_numbers].astype(np.float32),
    action_units_source="truth",
    start=5,
    end=20,
    frame_numbers=frame_numbers,
    times=times,
    curves=curves,
    num_interpolated=0,
  )


def fake_preprocess_video(source, settings, cache_file):
  """Succeeds or fails as the name of the video says."""
  del settings, cache_file
  if source.key.startswith("damaged"):
    raise ValueError(f"{source.key} is truncated <here>")
  if source.key.startswith("missing"):
    raise FileNotFoundError(f"No video {source.key}")
  if source.key.startswith("calm"):
    raise segment.NoSmileError("AU12 rises by 0.2 at most")
  if source.key.startswith("full"):
    raise OSError(errno.ENOSPC, "No space left")
  return [clip_of(source)]


@pytest.fixture
def preprocessor(tmp_path, monkeypatch):
  monkeypatch.setattr(pipeline, "preprocess_video", fake_preprocess_video)
  folder = epath.Path(tmp_path / "nemo")
  return batch.Preprocessor(clip.Settings(), folder, "64x64")


def sources(*names):
  return [
    clip.SourceVideo(name, f"{name}.mp4", "posed", name[-1]) for name in names
  ]


def run(preprocessor, *names):
  videos = sources(*names)
  return videos, list(batch.run(preprocessor, videos, workers=1))


def test_a_failed_video_does_not_stop_the_others(preprocessor):
  videos, clips = run(
    preprocessor, "a/1", "damaged2", "b3", "missing4", "calm5"
  )

  assert [one.key for one in clips] == ["a/1", "b3"]
  text = preprocessor.results.summarize(videos, max_failed_fraction=0.4)
  assert "2 of 5 videos gave 2 clips" in text
  assert "2 with action units from truth" in text
  assert "failed: damaged2: damaged2 is truncated" in text
  assert "failed: missing4: No video missing4" in text
  assert "no smile: calm5: AU12 rises by 0.2" in text


def test_too_many_failures_are_an_error_that_lists_them(preprocessor):
  videos, _ = run(preprocessor, "a1", "damaged2", "b3", "calm4", "calm5")

  # One of five; a video without a smile did not fail.
  preprocessor.results.summarize(videos, max_failed_fraction=0.2)
  with pytest.raises(
    results.TooManyFailuresError,
    match=r"(?s)1 of 5 .* fraction of 0\.1 .*damaged2 is truncated",
  ):
    preprocessor.results.summarize(videos, max_failed_fraction=0.1)


def test_every_result_is_in_the_table_and_on_the_page(preprocessor):
  videos, _ = run(preprocessor, "a/1", "damaged2", "calm3")
  preprocessor.results.summarize(videos, max_failed_fraction=1)
  folder = preprocessor.folder / "64x64"

  rows = list(csv.DictReader((folder / "clips.csv").read_text().splitlines()))
  page = (folder / "index.html").read_text()

  assert [row["status"] for row in rows] == ["ok", "failed", "no smile"]
  first = rows[0]
  assert (first["clip"], first["start"], first["end"]) == ("a/1", "5", "20")
  assert first["last_frame"] == "36" and first["frames_per_second"] == "25.0"
  assert first["action_units_source"] == "truth"
  assert first["video"] == "a/1.mp4"
  assert "damaged2 is truncated &lt;here&gt;" in page  # escaped
  (preview,) = (folder / "previews").iterdir()
  assert f'src="previews/{preview.name}"' in page
  assert page.find("damaged2") < page.find(preview.name)  # failures first


def test_different_keys_have_different_files(preprocessor):
  videos, _ = run(preprocessor, "a/1", "a_1", "a 1", "$a$1")

  text = preprocessor.results.summarize(videos, max_failed_fraction=0)

  assert "4 of 4 videos gave 4 clips" in text
  assert len(list((preprocessor.folder / "64x64" / "previews").iterdir())) == 4


def test_settings_are_saved_with_the_results(preprocessor):
  assert preprocessor.results.load_settings() is None

  preprocessor.results.save_settings({"size": "64"})

  assert preprocessor.results.load_settings() == {"size": "64"}


def test_results_of_an_earlier_run_can_be_removed(preprocessor):
  videos, _ = run(preprocessor, "damaged1")

  preprocessor.results.remove(videos)

  text = preprocessor.results.summarize(videos, max_failed_fraction=0)
  assert "0 of 1 videos" in text


def test_a_full_disk_is_not_a_failure_of_the_video(preprocessor):
  with pytest.raises(OSError, match="No space"):
    run(preprocessor, "full1")


def test_a_result_is_json(preprocessor):
  run(preprocessor, "b1")

  (file,) = (preprocessor.folder / "64x64" / "results").iterdir()

  assert json.loads(file.read_text())[0]["first_frame"] == 5


def test_several_processes_give_the_same_clips_in_the_same_order():
  clips = list(batch.run(Echo(), sources("a", "b", "c", "d"), workers=2))

  assert clips == ["clip of a", "clip of b", "clip of c", "clip of d"]


class Echo:
  """Stands for a preprocessor and can be pickled."""

  def __call__(self, source):
    return [f"clip of {source.key}"]


def test_a_killed_worker_is_an_error_with_a_way_out():
  with pytest.raises(RuntimeError, match="build again with fewer workers"):
    list(batch.run(Dies(), sources("a", "b", "c"), workers=2))


class Dies:
  """Kills its process."""

  def __call__(self, source):
    os._exit(9)

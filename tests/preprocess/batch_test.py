"""Preparing many videos, some of which cannot be used."""

import csv
import errno
import json

import numpy as np
import pytest
from etils import epath

from cmm_jax.preprocess import batch, clip, segment


def prepared(source):
  """A clip as if it had been made of a video."""
  times = np.arange(60) / 25
  curves = np.stack([0 * times, 2 * times], axis=1)
  chosen = segment.sample(times, 5, 20, 32)
  return clip.Clip(
    key=source.key,
    source=source,
    frames=np.full((32, 64, 64, 3), 120, np.uint8),
    landmarks=np.full((32, 68, 2), 30, np.float32),
    action_units=curves[chosen].astype(np.float32),
    units_name="truth",
    start=5,
    end=20,
    chosen=chosen,
    times=times,
    curves=curves,
    missed=0,
  )


def pretend(source, settings, seen_before):
  """In place of the preparation: what a video's name says happens."""
  del settings, seen_before
  if source.key.startswith("broken"):
    raise ValueError(f"{source.key} is cut short <here>")
  if source.key.startswith("gone"):
    raise FileNotFoundError(f"No video {source.key}")
  if source.key.startswith("calm"):
    raise segment.NoSmileError("AU12 rises by 0.2 at most")
  if source.key.startswith("full"):
    raise OSError(errno.ENOSPC, "No space left")
  return [prepared(source)]


@pytest.fixture
def work(tmp_path, monkeypatch):
  monkeypatch.setattr(clip, "prepare", pretend)
  return batch.Work(clip.Settings(), epath.Path(tmp_path / "nemo"), "64x64")


def sources(*names):
  return [clip.Source(name, f"{name}.mp4", "posed", name[-1]) for name in names]


def run(work, *names):
  given = sources(*names)
  return given, list(batch.run(work, given, workers=1))


def test_a_bad_video_stops_no_other(work):
  given, made = run(work, "a/1", "broken2", "b3", "gone4", "calm5")

  assert [one.key for one in made] == ["a/1", "b3"]
  said = work.summarise(given, bad_share=0.4)
  assert "2 of 5 videos gave 2 clips" in said
  assert "2 with action units of truth" in said
  assert "cannot be used: broken2: broken2 is cut short" in said
  assert "cannot be used: gone4: No video gone4" in said
  assert "no smile in calm5: AU12 rises by 0.2" in said


def test_too_many_bad_videos_are_an_error_that_lists_them(work):
  given, _ = run(work, "a1", "broken2", "b3", "calm4", "calm5")

  work.summarise(given, bad_share=0.2)  # one of five; calm ones are not bad
  with pytest.raises(
    batch.BadVideosError, match=r"(?s)1 of 5 .* share of 0\.1 .*broken2 is cut"
  ):
    work.summarise(given, bad_share=0.1)


def test_every_outcome_is_in_the_table_and_on_the_page(work):
  given, _ = run(work, "a/1", "broken2", "calm3")
  work.summarise(given, bad_share=1)
  folder = work.folder / "64x64"

  rows = list(csv.DictReader((folder / "clips.csv").read_text().splitlines()))
  page = (folder / "index.html").read_text()

  assert [row["status"] for row in rows] == ["good", "bad", "no smile"]
  first = rows[0]
  assert (first["clip"], first["start"], first["end"]) == ("a/1", "5", "20")
  assert first["last_frame"] == "36" and first["frames_per_second"] == "25.0"
  assert first["action_units"] == "truth" and first["video"] == "a/1.mp4"
  assert "broken2 is cut short &lt;here&gt;" in page  # and no tag of its own
  (picture,) = (folder / "previews").iterdir()
  assert f'src="previews/{picture.name}"' in page
  assert page.find("broken2") < page.find(picture.name)  # a look first


def test_keys_that_differ_in_a_sign_have_files_of_their_own(work):
  given, _ = run(work, "a/1", "a_1", "a 1", "$a$1")

  assert "4 of 4 videos gave 4 clips" in work.summarise(given, bad_share=0)
  assert len(list((work.folder / "64x64" / "previews").iterdir())) == 4


def test_settings_are_kept_with_what_they_made(work):
  assert work.settings_kept() is None

  work.keep_settings({"size": "64"})

  assert work.settings_kept() == {"size": "64"}


def test_an_outcome_of_an_earlier_build_is_forgotten(work):
  given, _ = run(work, "broken1")

  work.forget(given)

  assert "0 of 1 videos" in work.summarise(given, bad_share=0)


def test_a_full_disk_is_not_the_videos_fault(work):
  with pytest.raises(OSError, match="No space"):
    run(work, "full1")


def test_outcomes_are_readable_by_themselves(work):
  run(work, "b1")

  (outcome,) = (work.folder / "64x64" / "outcomes").iterdir()

  assert json.loads(outcome.read_text())[0]["first_frame"] == 5


def test_several_processes_give_the_same_clips_in_the_same_order(tmp_path):
  given = [clip.Source(f"v{i}", f"v{i}.mp4", "posed", "x") for i in range(5)]

  made = list(batch.run(Stamp(), given, workers=2))

  assert made == [f"v{i} made" for i in range(5)]


class Stamp:
  """Work that can be sent to another process."""

  def __call__(self, source):
    return [f"{source.key} made"]


def test_a_worker_that_dies_is_an_error_with_a_way_out():
  given = [clip.Source("v", "v.mp4", "posed", "x")] * 3

  with pytest.raises(RuntimeError, match="build again with fewer workers"):
    list(batch.run(Dies(), given, workers=2))


class Dies:
  """Work that kills its process."""

  def __call__(self, source):
    import os

    os._exit(9)

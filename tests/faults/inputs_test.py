"""Files of others: read, or refused in a line that names the file."""

import numpy as np
import pytest
from etils import epath

from cmm_jax import excerpt, video
from cmm_jax.preprocess import action_units, decode, photo
from cmm_jax.user_study import database
from faults import fuzz, inputs, media_files, mutations, run_files
from faults.kind import Kind

_COUNT = 40  # of each kind; python -m tests.faults tries thousands


@pytest.mark.parametrize("kind", inputs.KINDS, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore:.*damaged lines")
def test_a_damaged_file_is_read_or_refused_in_one_line(kind, tmp_path):
  outcome = fuzz.sample(kind, _COUNT, tmp_path)

  assert not outcome.lost
  assert outcome.read > 0  # the good files among them
  assert outcome.read + outcome.refused == _COUNT


def test_a_parser_that_crashes_hangs_or_says_nothing_is_noticed(
  tmp_path, monkeypatch
):
  def read(path):
    number = int(path.parent.name)
    if number == 0:
      raise KeyError("column")
    if number == 1:
      raise ValueError("it is damaged")
    if number == 2:
      raise ValueError(f"{path} is damaged\nin two lines")
    raise ValueError(f"{path} is damaged")

  kind = Kind("broken", lambda folder: _write(folder, "a"), read)

  outcome = fuzz.sample(kind, 4, tmp_path)

  assert sorted(outcome.lost) == [0, 1, 2]
  assert outcome.lost[0].startswith("KeyError at inputs_test.py")
  assert "no file is named" in outcome.lost[1]
  assert "several lines" in outcome.lost[2]
  assert outcome.refused == 1


def _write(folder, text):
  (folder / "good.csv").write_text(text)


def test_the_same_number_is_the_same_damage():
  good = [b"some bytes of a file", b"and of another"]
  kind = Kind("some", None, None, mutations.mutate_bytes)

  files = [fuzz.damaged(kind, good, number) for number in range(20)]

  assert files == [fuzz.damaged(kind, good, number) for number in range(20)]
  assert files[:2] == good and len(set(files)) > 15


def test_the_line_of_a_table_that_is_no_numbers_is_named(tmp_path):
  header = "frame, confidence, success, AU06_r, AU12_r"
  for bad in (
    "2, 0.9, 1, x, 1",
    "2, 0.9",
    "2, 0.9, 1, nan, 1",
    "2,0,0,1,1e999",
  ):
    _write(tmp_path, f"{header}\n1, 0.9, 1, 0, 0\n{bad}\n")
    table = action_units.OpenFaceTable(epath.Path(tmp_path / "good.csv"))
    with pytest.raises(ValueError, match=r"^Line 3 of the table .*good.csv"):
      table.read(decode.Video(tmp_path, np.arange(2) / 25))


def test_long_values_are_quoted_in_part():
  assert excerpt.quote("short") == "'short'"
  assert excerpt.quote("a" * 10_000) == f"'{'a' * 38}…{'a' * 39}'"
  assert len(excerpt.quote("\0" * 100)) == 80
  assert len(excerpt.quote(list(range(1000)))) == 80


def test_an_avi_whose_frames_have_lengths_of_their_own_is_read(tmp_path):
  media_files.write_videos(".avi", ["mpeg4"])(tmp_path)

  opened = decode.open_video(tmp_path / "variable_mpeg4.avi")

  np.testing.assert_allclose(
    opened.times, [0, 0.04, 0.08, 0.4, 0.44, 1.5], atol=0.03
  )
  content = (tmp_path / "plain_mpeg4.avi").read_bytes()
  (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
  with pytest.raises(decode.VideoError, match=r"cut.avi.*header declares"):
    decode.open_video(tmp_path / "cut.avi")


def test_frames_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
  frames = np.zeros((2, 64, 96, 3), np.uint8)
  video.write_mp4(tmp_path / "large.mp4", frames, 25)
  monkeypatch.setattr(photo, "MAX_PIXELS", 64 * 96 - 1)

  with pytest.raises(decode.VideoError, match=r"large.mp4.* 96 by 64 pixels"):
    decode.open_video(tmp_path / "large.mp4")
  # Also where the header of the file claims that they are smaller.
  monkeypatch.setattr(decode, "_check_size", lambda *_: None)
  with pytest.raises(decode.VideoError, match="beyond frame 0"):
    decode.read(tmp_path / "large.mp4")


def test_a_flipped_bit_in_a_study_is_noticed_when_it_is_opened(tmp_path):
  run_files.write_study(tmp_path)
  file = tmp_path / "study.sqlite"
  content = bytearray(file.read_bytes())
  place = content.index(b"0" * 30)  # in a participant's token
  content[place] ^= 1
  file.write_bytes(content)

  with pytest.raises(ValueError, match=r"study.sqlite cannot be read as a stu"):
    database.Database(file)

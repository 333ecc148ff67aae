"""clips.csv and the videos it requires."""

import pytest
from user_study.example_study import MODELS, write_csv, write_videos

from cmm_jax.user_study.clips import Clip, read_clips


def test_a_missing_csv_model_or_video_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"No list of clips .*--videos"):
    read_clips(tmp_path, MODELS)
  write_videos(tmp_path, {"posed": 3}, models=("cmm_net", "cra_net"))
  with pytest.raises(
    FileNotFoundError,
    match=r"video_gan; there are cmm_net, cra_net: .*--comparison",
  ):
    read_clips(tmp_path, MODELS)
  (tmp_path / "cra_net" / "posed001.mp4").unlink()
  with pytest.raises(
    FileNotFoundError, match=r"cra_net/posed001.mp4 \(1 of the 3"
  ):
    read_clips(tmp_path, ("cmm_net", "cra_net"))
  assert len(read_clips(tmp_path, ("cmm_net",))) == 3


def test_a_malformed_csv_is_refused(tmp_path):
  write_csv(tmp_path, [], columns=("clip", "label"))
  with pytest.raises(
    ValueError, match=r"clip,label.*but must be clip,subject,"
  ):
    read_clips(tmp_path, ())
  (tmp_path / "clips.csv").write_text("")
  with pytest.raises(ValueError, match="are missing, but must be"):
    read_clips(tmp_path, ())
  (tmp_path / "clips.csv").write_text("clip,subject,label\na,b,c\nd,e\n")
  with pytest.raises(ValueError, match=r"Line 3 of .* is 'd,e'"):
    read_clips(tmp_path, ())
  for clip in (Clip("../a", "b", "c"), Clip("", "b", "c")):
    write_csv(tmp_path, [clip])
    with pytest.raises(ValueError, match=r"Line 2 of .* fix that line"):
      read_clips(tmp_path, ())
  write_csv(tmp_path, [Clip("a", "b", "c"), Clip("a", "b", "d")])
  with pytest.raises(ValueError, match="'a' more than once"):
    read_clips(tmp_path, ())

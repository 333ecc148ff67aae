"""Action units of videos from OpenFace's tables."""

import numpy as np
import pytest

from cmm_jax import video
from cmm_jax.evaluation import openface
from cmm_jax.smiles import FRAMES_PER_SECOND


@pytest.fixture
def folders(tmp_path):
  """Two videos, and a table of each with its own intensity of AU12."""
  tables, videos = tmp_path / "tables", tmp_path / "videos"
  tables.mkdir()
  for number, name in enumerate(("a", "b")):
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    video.write_mp4(videos / f"{name}.mp4", frames, FRAMES_PER_SECOND)
    lines = [f"{t + 1}, 0.9, 1, {t}, {number}" for t in range(4)]
    head = "frame, confidence, success, AU06_r, AU12_r"
    (tables / f"{name}.csv").write_text("\n".join([head, *lines]))
  return tables, videos


def test_the_tables_give_the_action_units_of_each_clip(folders):
  units = openface.read(*folders, ["b", "a"])

  np.testing.assert_allclose(units[..., 0], [range(4)] * 2)
  np.testing.assert_allclose(units[..., 1], [[1] * 4, [0] * 4])


def test_a_missing_table_is_named(folders):
  (folders[0] / "b.csv").unlink()

  with pytest.raises(FileNotFoundError, match=r"tables/b\.csv"):
    openface.read(*folders, ["a", "b"])


def test_a_missing_video_tells_to_write_it_first(folders):
  (folders[1] / "b.mp4").unlink()

  with pytest.raises(FileNotFoundError, match="once without --openface"):
    openface.read(*folders, ["a", "b"])

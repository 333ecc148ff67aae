"""The command `python -m cmm_jax.preprocess`."""

import subprocess
import sys

import pytest
import shared_fake_data
from PIL import Image

from cmm_jax.preprocess import decode

SPONTANEOUS = "071_spontaneous_smile_1"


def preprocess(*flags):
  return subprocess.run(
    [sys.executable, "-m", "cmm_jax.preprocess", *flags],
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_video_becomes_a_preview_and_an_mp4(tmp_path):
  folder, _ = shared_fake_data.write_once("uva_nemo")
  video = shared_fake_data.nemo_video(SPONTANEOUS).path

  done = preprocess(
    f"--video={video}",
    f"--openface={folder / 'openface' / SPONTANEOUS}.csv",
    f"--out={tmp_path / 'out'}",
  )

  assert done.returncode == 0, done.stderr
  assert "action units from openface" in done.stdout
  with Image.open(tmp_path / "out" / f"{SPONTANEOUS}.mp4.png") as preview:
    assert preview.size == (648 + 3 * 192, 192)
  frames = decode.read(tmp_path / "out" / f"{SPONTANEOUS}.mp4.mp4")
  assert frames.shape == (32, 256, 256, 3)


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--video=nowhere.mp4"], "No video 'nowhere.mp4'"),
    (["--video=a", "--detector=yolo"], "one of <mediapipe|dlib>"),
    (["--video=a", "--video=b", "--openface=c.csv"], "table of one video"),
    (["--video=a", "--model=cmm_net"], "Unknown command line flag 'model'"),
  ],
)
def test_a_mistake_is_an_error_that_names_it(tmp_path, flags, message):
  done = preprocess(*flags, f"--out={tmp_path}")

  assert done.returncode != 0
  assert message in done.stderr + done.stdout

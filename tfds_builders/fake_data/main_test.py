"""The command `python -m tfds_builders.fake_data`."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
  ("dataset", "message"),
  [
    ("video_folder", "is not empty"),
    ("uva", "one of <uva_nemo|disfa|disfa_plus|video_folder>"),
  ],
)
def test_a_mistake_is_an_error_that_names_it(tmp_path, dataset, message):
  (tmp_path / "photo.jpg").touch()

  done = subprocess.run(
    [
      *(sys.executable, "-m", "tfds_builders.fake_data"),
      *(f"--dataset={dataset}", f"--out={tmp_path}"),
    ],
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode != 0
  assert message in done.stderr + done.stdout

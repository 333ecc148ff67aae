"""One split of a prepared dataset."""

import os
import pathlib
import subprocess
import sys

import miniature
import pytest

from cmm_jax.data.clips import Clips


@pytest.mark.parametrize(
  "name", ["nothing", "nothing/quick", "miniature/quick", "miniature/9.9.9"]
)
def test_a_missing_dataset_names_the_command_that_builds_it(data_dir, name):
  with pytest.raises(FileNotFoundError, match="tfds build tfds_builders/") as e:
    Clips(data_dir, name, "train")

  assert repr(name) in str(e.value) and f"--data_dir {data_dir}" in str(e.value)


def test_a_missing_rendered_dataset_names_the_command_without_tensorflow(
  data_dir,
):
  command = "python -m tfds_builders.virtual_smiles --config=full --data_dir="

  with pytest.raises(FileNotFoundError, match=command + data_dir):
    Clips(data_dir, "virtual_smiles/full", "train")


def test_a_dataset_may_be_named_with_its_version(data_dir, clips):
  found = Clips(data_dir, "miniature/1.0.0", "train")

  assert len(found) == len(clips) == 16
  assert found.labels == list(miniature.LABELS)
  assert isinstance(found[0]["subject"], str)


def test_a_wrong_split_is_named_with_those_that_exist(data_dir):
  with pytest.raises(ValueError, match=r"'dev'.*has test, train, validation"):
    Clips(data_dir, "miniature", "dev")


@pytest.mark.parametrize(("num_frames", "size"), [(16, 64), (32, 128)])
def test_clips_of_another_size_are_refused(clips, num_frames, size):
  clips.check_size(32, 64)

  with pytest.raises(ValueError, match=f"num_frames = {num_frames}.* = {size}"):
    clips.check_size(num_frames, size)


def test_data_is_read_where_tensorflow_is_not_installed(data_dir):
  code = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *args):
  return None if name.split(".")[0] in ["tensorflow"] else find(name, *args)
PathFinder.find_spec = find_others
from cmm_jax.data.clips import Clips
assert Clips({data_dir!r}, "miniature", "train")[0]["frames"].shape[0] == 32
"""
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}

  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=pathlib.Path(__file__).parents[2],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 0, done.stderr

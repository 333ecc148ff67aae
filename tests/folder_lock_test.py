"""Two commands at once on one folder."""

import os
import signal
import subprocess
import sys

import pytest
from faults import odd_datasets

from cmm_jax import folder_lock, main

_HOLDER = """
import sys, time
from cmm_jax import folder_lock
with folder_lock.hold(sys.argv[1]):
  print("held", flush=True)
  time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
  """Another process that holds the folder `tmp_path / "run"`."""
  process = subprocess.Popen(
    [sys.executable, "-c", _HOLDER, str(tmp_path / "run")],
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "held\n"
  yield process
  process.kill()
  process.wait()


def test_the_second_process_is_refused_and_told_of_the_first(tmp_path, holder):
  with (
    pytest.raises(
      folder_lock.FolderInUseError, match=f"in use by process {holder.pid} on"
    ),
    folder_lock.hold(tmp_path / "run"),
  ):
    pass


def test_the_lock_of_a_process_that_was_killed_is_no_obstacle(tmp_path, holder):
  os.kill(holder.pid, signal.SIGKILL)
  holder.wait()

  with folder_lock.hold(tmp_path / "run"):
    found = (tmp_path / "run" / ".in_use").read_text()
  assert f"process {os.getpid()} on" in found


def test_a_folder_can_be_held_again_afterwards(tmp_path):
  for _ in range(2):
    with folder_lock.hold(tmp_path):
      pass


def test_folders_on_cloud_storage_are_not_locked(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)

  with folder_lock.hold("gs://bucket/run"):
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_in_one_workdir_is_refused(config, holder):
  with pytest.raises(folder_lock.FolderInUseError, match=str(holder.pid)):
    main.train_all(config)


def test_a_second_build_of_a_dataset_is_refused(tmp_path, holder):
  data_dir = tmp_path / "built"
  builder = odd_datasets.Fingerprinted(data_dir=data_dir)
  data_dir.mkdir()
  (data_dir / "fingerprinted").symlink_to(tmp_path / "run")

  with pytest.raises(folder_lock.FolderInUseError, match=str(holder.pid)):
    builder.download_and_prepare()

  assert list((tmp_path / "run").iterdir()) == [tmp_path / "run" / ".in_use"]


def test_a_second_command_into_one_folder_is_refused(
  tmp_path, holder, run_command
):
  status = run_command(
    "generate", image="cmm_jax/examples/mona_lisa.jpg", out=tmp_path / "run"
  )

  assert f"in use by process {holder.pid}" in status

"""Atomic writes."""

import os

import pytest

from cmm_jax import atomic


def test_text_and_bytes_are_written_and_folders_created(tmp_path):
  atomic.write_atomically(tmp_path / "new" / "text.txt", "smílé\n")
  atomic.write_atomically(str(tmp_path / "new" / "bytes.bin"), b"\0\1")

  assert (tmp_path / "new" / "text.txt").read_bytes() == "smílé\n".encode()
  assert (tmp_path / "new" / "bytes.bin").read_bytes() == b"\0\1"
  assert len(os.listdir(tmp_path / "new")) == 2


def test_the_file_appears_only_when_the_block_ends(tmp_path):
  path = tmp_path / "smile.mp4"

  with atomic.atomic_path(path) as partial:
    partial.write_text("half")
    assert not path.exists()
    assert partial.suffix == ".mp4"
    partial.write_text("whole")

  assert path.read_text() == "whole"
  assert os.listdir(tmp_path) == ["smile.mp4"]


def test_a_failed_block_keeps_the_previous_file(tmp_path):
  path = tmp_path / "smile.txt"
  path.write_text("previous")

  with (
    pytest.raises(ZeroDivisionError),
    atomic.atomic_path(path) as partial,
  ):
    partial.write_text("half")
    raise ZeroDivisionError

  assert path.read_text() == "previous"
  assert os.listdir(tmp_path) == ["smile.txt"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
  resource = pytest.importorskip("resource")
  path = tmp_path / "smile.bin"
  path.write_bytes(b"previous")
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
  try:
    with pytest.raises(OSError, match=r"previous one.* is kept.*smile\.bin"):
      atomic.write_atomically(path, bytes(5000))
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

  assert path.read_bytes() == b"previous"
  assert os.listdir(tmp_path) == ["smile.bin"]


def test_a_folder_is_not_overwritten(tmp_path):
  with pytest.raises(IsADirectoryError, match="name of a file"):
    atomic.write_atomically(tmp_path, "text")

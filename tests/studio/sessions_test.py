"""What is kept of visitors, and their files."""

import shutil
import tempfile
import time

import pytest

from cmm_jax.studio import sessions
from cmm_jax.studio.files import Files


@pytest.fixture
def files():
  files = Files()
  yield files
  files.close()


def add(files, folder, name="smile.mp4"):
  path = folder / name
  path.write_bytes(b"video")
  return path, "/" + files.add(path)


def test_only_added_files_are_found_and_only_by_their_whole_address(files):
  path, address = add(files, files.make_folder())
  other, _ = add(files, path.parent, "secret.txt")

  assert files.find(address) == path
  token, name = address.split("/")[2:]
  for wrong in (
    f"/files/{token}/secret.txt",
    f"/files/{token}/../{path.parent.name}/{name}",
    f"/files/{token}/{other}",
    f"/files/{token}",
    f"/files//{name}",
    f"/files/{token[:-1]}/{name}",
    f"/files/{path}",
  ):
    assert files.find(wrong) is None


def test_a_file_keeps_its_address(files):
  path, address = add(files, files.make_folder())

  assert "/" + files.add(path) == address
  assert files.add(path, "other.mp4") != address


def test_removed_files_are_gone_and_nothing_else_can_be_removed(
  files, tmp_path
):
  folder = files.make_folder()
  path, address = add(files, folder)

  files.remove(folder)

  assert files.find(address) is None and not path.exists()
  with pytest.raises(ValueError, match="is no folder of"):
    files.remove(tmp_path)


def test_closing_deletes_everything():
  files = Files()
  add(files, files.make_folder())

  files.close()

  assert not files.root.exists()


def test_what_a_killed_studio_left_is_deleted_by_the_next_one(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  files = Files()
  left = tmp_path / "copy"  # as the lock of a killed process is released
  shutil.copytree(files.root, left)
  left = left.rename(tmp_path / f"{files.root.name}_left")
  (left / "smile.mp4").write_bytes(b"video")
  other = tmp_path / "of_something_else"
  other.mkdir()

  later = Files()

  assert set(tmp_path.iterdir()) == {files.root, later.root, other}
  files.close()
  later.close()


def test_visitors_do_not_share_anything_and_one_who_leaves_is_forgotten(files):
  visitors = sessions.Sessions(files)
  first, second = visitors.get("a"), visitors.get("b")
  folders = [files.make_folder() for _ in range(2)]
  addresses = [add(files, folder)[1] for folder in folders]
  for session, folder in zip((first, second), folders, strict=True):
    session.folders["Studio"] = [folder]
    session.faces = ["a face"]

  assert visitors.get("a") is first is not second
  visitors.end("a")

  assert first.faces == [] and not folders[0].exists()
  assert second.faces == ["a face"] and folders[1].exists()
  assert files.find(addresses[0]) is None
  assert files.find(addresses[1]) is not None
  assert visitors.get("a").faces == []


def test_a_visitor_who_has_long_done_nothing_is_forgotten(files, monkeypatch):
  visitors = sessions.Sessions(files)
  visitors.get("a").faces = ["a face"]
  now = time.monotonic() + 3601
  monkeypatch.setattr(sessions.time, "monotonic", lambda: now)

  visitors.get("b")

  assert len(visitors) == 1

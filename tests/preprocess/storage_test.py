"""Local copies of remote videos."""

import pathlib

from etils import epath

from cmm_jax.preprocess import storage


def test_a_local_path_is_used_as_it_is(tmp_path):
  with storage.local_copy(epath.Path(tmp_path)) as path:
    assert path == tmp_path and isinstance(path, pathlib.Path)


def test_remote_files_and_folders_are_copied_and_removed(tmp_path, monkeypatch):
  (tmp_path / "smile.mp4").write_bytes(b"video")
  (tmp_path / "frames").mkdir()
  (tmp_path / "frames" / "0.png").write_bytes(b"image")
  monkeypatch.setattr(
    storage.epath,
    "Path",
    lambda url: tmp_path / url.removeprefix("gs://bucket/"),
  )

  with storage.local_copy("gs://bucket/smile.mp4") as path:
    assert path.read_bytes() == b"video" and path.name == "smile.mp4"
    assert path.parent != tmp_path
  assert not path.exists()
  with storage.local_copy("gs://bucket/frames") as folder:
    assert (folder / "0.png").read_bytes() == b"image"
  assert not folder.exists()

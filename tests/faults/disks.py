"""Disks on which a training cannot write; only root may mount them."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from faults import table
from faults.bench import Bench, expect_one_line


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, kilobytes: int) -> Iterator[pathlib.Path]:
  """A file system of this size in memory; only root may mount it."""
  folder.mkdir(parents=True, exist_ok=True)
  _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
  try:
    yield folder
  finally:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments):
  subprocess.run(["mount", *arguments], check=True, capture_output=True)


def may_mount() -> bool:
  """Whether this process may mount file systems."""
  with tempfile.TemporaryDirectory() as folder:
    try:
      with small_disk(pathlib.Path(folder), 64):
        return True
    except (subprocess.CalledProcessError, FileNotFoundError):
      return False


def size_of(folder: pathlib.Path) -> int:
  """Of all files below a folder, in kilobytes of whole pages."""
  files = [file for file in folder.rglob("*") if file.is_file()]
  return sum(4 * (file.stat().st_size // 4096 + 1) for file in files)


def full_disks(bench: Bench, count: int) -> table.Row:
  """Trains on disks that are full sooner or later; then they are enlarged."""
  whole = size_of(bench.folder / "unbroken")
  sizes = [max(16, whole * (i + 1) // (count + 1)) for i in range(count)]
  return bench.tries(
    "disk full in a save, a log line or a picture of a training",
    sizes,
    lambda size: _train_on_full_disk(bench, size),
  )


def _train_on_full_disk(bench, size):
  with small_disk(bench.folder / f"disk_{size}", size) as folder:
    done = bench.train(folder / "run")
    expect_one_line(done, "space")
    _mount("-o", "remount,size=1g", str(folder))
    bench.expect_end(bench.train(folder / "run"), folder / "run")


def read_only(bench: Bench) -> table.Row:
  """Trains in a folder that cannot be written, new and old."""

  def attempt(kind):
    with small_disk(bench.folder / f"read_only_{kind}", 10**6) as folder:
      if kind == "old":
        shutil.copytree(bench.folder / "unbroken", folder / "run")
        shutil.rmtree(folder / "run" / "checkpoints" / "regressors" / "3")
      _mount("-o", "remount,ro", str(folder))
      expect_one_line(bench.train(folder / "run"), "ead-only")
      _mount("-o", "remount,rw", str(folder))
      bench.expect_end(bench.train(folder / "run"), folder / "run")

  return bench.tries("read-only folder of a run", ["new", "old"], attempt)

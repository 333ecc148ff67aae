"""Damaged files of a dataset are named; none of them is used."""

import pathlib
import re
import shutil

import numpy as np
import pytest
from faults import odd_datasets

from cmm_jax.data.clips import Clips


@pytest.fixture
def dataset(data_dir, tmp_path):
  """A copy of the miniature dataset: the folder of its files."""
  shutil.copytree(data_dir, tmp_path / "data")
  (info,) = (tmp_path / "data").rglob("dataset_info.json")
  return info.parent


def read(folder):
  clips = Clips(str(folder.parents[1]), "miniature", "train")
  return [clips[i] for i in range(len(clips))]


@pytest.mark.parametrize(
  "kind", ["flipped", "cut", "empty", "of another split"]
)
def test_a_damaged_shard_stops_with_the_datasets_name(dataset, kind):
  (file,) = dataset.glob("*train*")
  content = bytearray(file.read_bytes())
  if kind == "flipped":
    content[70_000] ^= 1  # within the clips' bytes
  elif kind == "cut":
    content = content[: len(content) // 2]
  elif kind == "empty":
    content = b""
  else:
    content = next(dataset.glob("*test*")).read_bytes()
  file.write_bytes(content)

  with pytest.raises(
    ValueError, match=rf"{re.escape(str(dataset))}.*damaged.*build"
  ):
    read(dataset)


def test_no_flipped_bit_of_a_shard_gives_another_clip(dataset):
  good = read(dataset)
  (file,) = dataset.glob("*train*")
  content = file.read_bytes()
  random = np.random.default_rng(0)
  refused = 0
  for _ in range(20):
    flipped = bytearray(content)
    flipped[random.integers(len(content))] ^= 1 << int(random.integers(8))
    file.write_bytes(flipped)
    try:
      found = read(dataset)
    except ValueError:
      refused += 1
      continue
    for clip, expected in zip(found, good, strict=True):  # in the padding
      for name in expected:
        np.testing.assert_array_equal(clip[name], expected[name])
  assert refused > 0


@pytest.mark.parametrize(
  ("name", "content"),
  [
    ("dataset_info.json", ""),
    ("dataset_info.json", '{"name": "mini'),
    ("features.json", "{}"),
    ("label.labels.txt", ""),
    ("label.labels.txt", "posed\n"),  # of two
  ],
)
def test_a_damaged_description_stops_with_the_datasets_name(
  dataset, name, content
):
  pathlib.Path(dataset / name).write_text(content)

  with pytest.raises(ValueError, match=f"{re.escape(str(dataset))}.*build"):
    read(dataset)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  """A dataset that our builders wrote."""
  data_dir = tmp_path_factory.mktemp("written")
  odd_datasets.Fingerprinted(data_dir=data_dir).download_and_prepare()
  return data_dir


@pytest.fixture
def built(written, tmp_path):
  """A copy of it: the folder of its files."""
  shutil.copytree(written, tmp_path / "data")
  (info,) = (tmp_path / "data").rglob("dataset_info.json")
  return info.parent


@pytest.mark.parametrize("kind", ["swapped", "label renamed", "removed"])
def test_a_file_that_is_not_the_one_that_was_built_is_named(built, kind):
  name = "label.labels.txt"
  if kind == "swapped":  # these two have equally many clips
    (one,), (other,) = built.glob("*-test*"), built.glob("*-validation*")
    name = one.name
    shutil.copy(other, one)
  elif kind == "label renamed":
    (built / name).write_text("spontaneous\nposes\n")
  else:
    (built / name).unlink()

  with pytest.raises(
    ValueError, match=rf"{re.escape(str(built))}.*{name} is not the .*build"
  ):
    Clips(str(built.parents[1]), "fingerprinted", "test")


def test_a_dataset_without_fingerprints_is_read(built):
  (built / "fingerprints.json").unlink()

  assert len(Clips(str(built.parents[1]), "fingerprinted", "test")) == 8

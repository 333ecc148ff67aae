"""Fake datasets, written and searched for faces once for all test processes."""

import atexit
import dataclasses
import functools
import os
import pathlib
import pickle
import tempfile

import filelock
from etils import epath

from cmm_jax.preprocess import clip, pipeline
from tfds_builders.fake_data import film, layouts

# The environment variable with the folder that test processes share.
FOLDER_VARIABLE = "CMM_JAX_FAKE_DATA"


@functools.cache
def write_once(
  dataset: str,
) -> tuple[pathlib.Path, dict[str, film.GroundTruth]]:
  """A fake dataset and its ground truth, written by the first process."""
  folder = _folder(dataset)
  pickled = folder.with_suffix(".pickle")
  with _lock(dataset):
    if not pickled.exists():
      pickled.write_bytes(pickle.dumps(layouts.WRITERS[dataset](folder)))
    return folder, pickle.loads(pickled.read_bytes())


class SharedDetections:
  """Mixed into a builder of a fake dataset: faces are detected only once."""

  FAKE_DATASET: str

  def download_and_prepare(self, **kwargs):
    # Two builders at once would write the same files.
    with _lock(f"{self.FAKE_DATASET}_preprocessing"):
      super().download_and_prepare(**kwargs)

  def preprocessor(self):
    folder = epath.Path(preprocessing_folder(self.FAKE_DATASET))
    return dataclasses.replace(super().preprocessor(), folder=folder)


def preprocessing_folder(dataset: str) -> pathlib.Path:
  """The folder of detections and results that `SharedDetections` shares."""
  return _folder(f"{dataset}_preprocessing")


def nemo_video(key: str, **known) -> clip.SourceVideo:
  """A video of the fake UvA-NEMO.

  Args:
    key: its name without the suffix.
    **known: other fields of `SourceVideo`.
  """
  folder, _ = write_once("uva_nemo")
  path = folder / "UvA-NEMO_SMILE_DATABASE" / "videos" / f"{key}.mp4"
  label = "posed" if "deliberate" in key else "spontaneous"
  return clip.SourceVideo(key, path, label, key[:3], **known)


def detect_once(key: str) -> pathlib.Path:
  """The cache file of a video of the fake UvA-NEMO, with blendshapes."""
  file = _folder("detections") / f"{key}.npz"
  with _lock(f"detections_{key}"):
    if not file.exists():
      pipeline.preprocess_video(nemo_video(key), cache_file=file)
  return file


def _folder(name):
  folder = _root() / name
  folder.mkdir(exist_ok=True)
  return folder


@functools.cache
def _root():
  if FOLDER_VARIABLE in os.environ:
    return pathlib.Path(os.environ[FOLDER_VARIABLE])
  folder = tempfile.TemporaryDirectory(prefix="fake_data_")
  atexit.register(folder.cleanup)
  return pathlib.Path(folder.name)


def _lock(name):
  return filelock.FileLock(_root() / f"{name}.lock")

"""What the builders of video datasets share: splits, preprocessing, reports."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import action_units, batch, clip, results, segment
from tfds_builders import face_clips, manual_dir

# Fields of a config that do not change the clips.
_UNRELATED = (
  *("name", "version", "description", "release_notes", "tags"),
  *("supported_versions", "workers", "max_failed_fraction"),
)


class VideoBuilder(face_clips.ClipBuilder, skip_registration=True):
  """Preprocesses videos in local processes, or on any cluster with Beam.

  A subclass lists the videos (`find_videos`) and may adapt the settings.
  """

  LABELS: Sequence[str] | None = ("spontaneous", "posed")
  THRESHOLDS: Mapping[str, float] = {}  # that differ from the defaults

  @abc.abstractmethod
  def find_videos(
    self, folder: epath.Path
  ) -> dict[str, list[clip.SourceVideo]]:
    """The videos of each split.

    Args:
      folder: the manual_dir.

    Raises:
      FileNotFoundError: there are no videos.
      ValueError: the folder is not laid out as it should be.
    """

  def settings(self) -> clip.Settings:
    """How the videos are preprocessed."""
    config = self.builder_config
    return clip.Settings(
      num_frames=face_clips.NUM_FRAMES,
      size=config.size,
      detector=config.detector,
      thresholds=segment.Thresholds(**{**self.THRESHOLDS, **config.thresholds}),
    )

  def preprocessor(self) -> batch.Preprocessor:
    """Preprocesses the videos; its results lie beside the dataset."""
    folder = epath.Path(self.data_dir_root) / "preprocessing" / self.name
    return batch.Preprocessor(self.settings(), folder, self.builder_config.name)

  def random_split(self, names: Sequence[str]) -> dict[str, set[str]]:
    """Splits names at random: two thirds for training, a third for testing."""
    order = np.random.default_rng(self.builder_config.seed).permutation(
      sorted(names)
    )
    num_train = round(2 * len(order) / 3)
    return {
      "train": set(order[:num_train].tolist()),
      "test": set(order[num_train:].tolist()),
    }

  def openface_tables(
    self, folder: epath.Path, videos: Mapping[str, str]
  ) -> dict[str, action_units.OpenFaceTable]:
    """OpenFace's tables, by key of the video; see `find_openface_tables`.

    Args:
      folder: the manual_dir, in which `openface` may be.
      videos: key of a video -> the name of its table.

    Raises:
      FileNotFoundError: the config names a folder without tables.
    """
    named = self.builder_config.openface
    tables = manual_dir.find_openface_tables(
      epath.Path(named) if named else manual_dir.find_child(folder, "openface"),
      videos,
    )
    if named and not tables:
      raise FileNotFoundError(
        f"No tables in {named!r}: openface must be the folder with OpenFace's "
        "CSVs, <video>.csv."
      )
    return tables

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=face_clips.features(self.builder_config.size, self.LABELS)
    )

  def download_and_prepare(self, **kwargs) -> None:
    """As in TFDS, but never mistakes the data of another config for this one's.

    Raises:
      ValueError: the dataset exists with other settings under this name.
    """
    saved = self.preprocessor().results.load_settings()
    changed = saved is not None and saved != self._settings_of_clips()
    config = kwargs.get("download_config")
    overwrite = config and config.download_mode.overwrite_dataset
    if changed and not overwrite and epath.Path(self.data_dir).exists():
      raise ValueError(
        f"{str(self.data_dir)!r} was built with other settings, {saved}: give "
        "this config another name, or rebuild with --overwrite."
      )
    super().download_and_prepare(**kwargs)

  def _settings_of_clips(self):
    return {
      name: str(value)
      for name, value in dataclasses.asdict(self.builder_config).items()
      if name not in _UNRELATED
    }

  def _download_and_prepare(self, dl_manager, download_config):
    self._with_beam = bool(
      download_config.beam_options or download_config.beam_runner
    )
    self._videos = []
    try:
      super()._download_and_prepare(dl_manager, download_config)
    except Exception as error:
      if self._videos and not isinstance(error, results.TooManyFailuresError):
        print(self._summarize())  # may explain the error
      raise
    print(self._summarize())

  def _summarize(self):
    return self.preprocessor().results.summarize(
      self._videos, self.builder_config.max_failed_fraction
    )

  def _split_generators(self, dl_manager):
    splits = self.find_videos(epath.Path(dl_manager.manual_dir))
    for split, videos in splits.items():
      if not videos:
        raise ValueError(
          f"The split {split!r} of {self.name} has no videos: "
          f"{str(dl_manager.manual_dir)!r} has too few."
        )
    self._videos = [video for videos in splits.values() for video in videos]
    keys = [video.key for video in self._videos]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
      raise ValueError(
        f"Two videos have the same key {repeated[0]!r}: rename one of them."
      )
    preprocessor = self.preprocessor()
    preprocessor.results.remove(self._videos)
    preprocessor.results.save_settings(self._settings_of_clips())
    return {
      split: self._generate_examples(preprocessor, videos)
      for split, videos in splits.items()
    }

  def _generate_examples(self, preprocessor, videos):
    if self._with_beam:
      beam = tfds.core.lazy_imports.apache_beam
      return beam.Create(videos) | beam.FlatMap(_examples, preprocessor)
    clips = batch.run(preprocessor, videos, self.builder_config.workers)
    return (_example(one) for one in clips)


def _examples(video, preprocessor):
  return [_example(one) for one in preprocessor(video)]


def _example(one: clip.Clip) -> tuple[str, dict[str, Any]]:
  return (
    one.key,
    {
      "frames": one.frames,
      "landmarks": one.landmarks,
      "action_units": one.action_units,
      "action_units_source": one.action_units_source,
      "label": one.source.label,
      "subject": one.source.subject,
      "clip": one.key,
    },
  )

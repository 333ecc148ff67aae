"""Your own videos: one folder per kind of expression.

tfds build tfds_builders/video_folder --config 64x64 --data_dir data \
  --manual_dir my_videos
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import clip, photo, table
from tfds_builders import manual_dir, video_builder, video_config

_SUFFIXES = (
  *(".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4"),
  *(".mpeg", ".mpg", ".mts", ".webm", ".wmv"),
)


@dataclasses.dataclass
class VideoFolderConfig(video_config.VideoConfig):
  """The config of any dataset of videos, and which part becomes a clip.

  Attributes:
    segment: "smile" by the action units, "movement" by the landmarks for other
      expressions, "whole" for videos that are cut already.
    frames_per_second: the frame rate of folders of frames.
  """

  segment: str = "smile"
  frames_per_second: float = 25.0


class Builder(video_builder.VideoBuilder):
  """One example per video, labeled by its folder."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Copy your videos to a folder and pass it as --manual_dir:
    my_videos/<label>/<subject>_<anything>.mp4, or a folder of numbered frames
    my_videos/subjects.csv   video,subject   if names do not begin with subjects
  """
  BUILDER_CONFIGS = [
    *video_config.standard_configs(VideoFolderConfig),
    VideoFolderConfig(
      name="movement",
      description="64 by 64 pixels, for other expressions than smiles.",
      segment="movement",
      thresholds={"neutral_level": 0.25},  # landmarks jitter more than AUs
    ),
  ]
  LABELS = None  # the names of the folders

  def settings(self) -> clip.Settings:
    return dataclasses.replace(
      super().settings(), segment=self.builder_config.segment
    )

  def find_videos(self, folder: epath.Path):
    paths = _find_paths(folder)
    if len(paths) < 2:
      raise FileNotFoundError(
        f"{str(folder)!r} has {len(paths)} videos in folders, at least two are "
        "needed: lay them out as <label>/<subject>_<anything>.mp4."
      )
    self.info.features["label"].names = sorted({label for label, _ in paths})
    subjects = _subjects(folder, paths)
    keys = {(label, stem): f"{label}_{stem}" for label, stem in paths}
    segments = manual_dir.read_segments(
      manual_dir.find_child(folder, "segments.csv"), keys.values()
    )
    tables = self.openface_tables(
      folder, {key: f"{label}/{stem}" for (label, stem), key in keys.items()}
    )
    # Split by subject, if there are enough.
    groups = subjects if len(set(subjects.values())) >= 3 else keys
    test = self.random_split(list(set(groups.values())))["test"]
    splits = {"train": [], "test": []}
    for (label, stem), path in sorted(paths.items()):
      key = keys[label, stem]
      splits["test" if groups[label, stem] in test else "train"].append(
        clip.SourceVideo(
          key=key,
          path=path,
          label=label,
          subject=subjects[label, stem],
          frames_per_second=self.builder_config.frames_per_second,
          action_units=tables.get(key),
          segments=segments.get(key),
        )
      )
    return splits


def _find_paths(manual_folder):
  """(label, name without the suffix) -> the file or the folder of frames."""
  paths = {}
  for folder in sorted(manual_folder.iterdir()):
    if not folder.is_dir() or not _is_label(folder):
      continue
    for path in sorted(folder.iterdir()):
      if path.name.startswith(".") or not _is_video(path):
        continue
      stem = path.name if path.is_dir() else path.stem
      other = paths.setdefault((folder.name, stem), path)
      if other != path:
        raise ValueError(
          f"Two videos of {folder.name!r} are called {stem!r}: {other.name!r} "
          f"and {path.name!r}; rename one."
        )
  return paths


def _is_label(folder):
  return not folder.name.lower().startswith((".", "__macosx", "openface"))


def _is_video(path):
  if not path.is_dir():
    return path.suffix.lower() in _SUFFIXES
  return any(
    file.suffix.lower() in photo.SUFFIXES and not file.name.startswith(".")
    for file in path.iterdir()
  )


def _subjects(folder, paths):
  """(label, name) -> subject, by subjects.csv or the beginning of the name."""
  file = manual_dir.find_child(folder, "subjects.csv")
  if not file.exists():
    return {key: re.split(r"[_\-. ]", key[1])[0] for key in paths}
  rows = table.read(file, ("video", "subject"))
  known = {row["video"]: row["subject"] for _, row in rows}
  subjects = {}
  for (label, stem), path in paths.items():
    names = (f"{label}/{path.name}", f"{label}/{stem}", path.name, stem)
    subject = next((known[name] for name in names if name in known), None)
    if subject is None:
      raise ValueError(
        f"{str(file)!r} has no subject for {names[0]!r}: add the line "
        f"'{names[0]},<subject>'."
      )
    subjects[label, stem] = subject
  return subjects

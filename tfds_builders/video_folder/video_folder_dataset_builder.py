"""Videos of one's own: one folder for each kind of expression.

tfds build tfds_builders/video_folder --config 64x64 --data_dir data \
  --manual_dir my_videos
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import clip, photo, table
from tfds_builders import face_clips

_SUFFIXES = (
  *(".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4"),
  *(".mpeg", ".mpg", ".mts", ".webm", ".wmv"),
)


@dataclasses.dataclass
class VideoFolderConfig(face_clips.VideoConfig):
  """As any dataset of videos, and how these are cut.

  Attributes:
    cut: "smile" by the action units, "movement" of the landmarks for other
      expressions, "whole" for videos that were cut before.
    frames_per_second: of folders of frames.
  """

  cut: str = "smile"
  frames_per_second: float = 25.0


class Builder(face_clips.VideoBuilder):
  """One example per video, labelled by its folder."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Lay your videos out in a folder and name it with --manual_dir:
    my_videos/<label>/<subject>_<anything>.mp4, or a folder of numbered frames
    my_videos/subjects.csv   video,subject   if names do not begin with subjects
  """
  BUILDER_CONFIGS = [
    *face_clips.sizes(VideoFolderConfig),
    VideoFolderConfig(
      name="movement",
      description="64 by 64 pixels, for expressions that are no smiles.",
      cut="movement",
      thresholds={"neutral": 0.25},  # landmarks tremble more than units do
    ),
  ]
  LABELS = None  # the folders name them

  def _settings(self):
    return dataclasses.replace(super()._settings(), cut=self.builder_config.cut)

  def _sources(self, manual_dir: epath.Path):
    videos = _videos(manual_dir)
    labels = sorted({label for label, _ in videos})
    if len(videos) < 2:
      raise FileNotFoundError(
        f"{str(manual_dir)!r} holds {len(videos)} videos in folders, at least "
        "two are needed: lay them out as <label>/<subject>_<anything>.mp4."
      )
    self.info.features["label"].names = labels
    subjects = _subjects(manual_dir, videos)
    keys = {one: f"{one[0]}_{one[1]}" for one in videos}
    parts = self._segments(manual_dir, list(keys.values()))
    tables = self._openface(
      manual_dir, {key: f"{one[0]}/{one[1]}" for one, key in keys.items()}
    )
    if len(set(subjects.values())) >= 3:
      splits = self._split_by_lot(list(set(subjects.values())))
      test = {one for one in videos if subjects[one] in splits["test"]}
    else:  # too few people to keep any apart
      splits = self._split_by_lot(list(keys.values()))
      test = {one for one in videos if keys[one] in splits["test"]}
    sources = {"train": [], "test": []}
    for one, file in sorted(videos.items()):
      sources["test" if one in test else "train"].append(
        clip.Source(
          key=keys[one],
          path=file,
          label=one[0],
          subject=subjects[one],
          frames_per_second=self.builder_config.frames_per_second,
          units=tables.get(keys[one]),
          cuts=parts.get(keys[one]),
        )
      )
    return sources


def _videos(manual_dir):
  """(label, name without its ending) -> the file or the folder of frames."""
  found = {}
  for folder in sorted(manual_dir.iterdir()):
    if not folder.is_dir() or _is_no_label(folder):
      continue
    for path in sorted(folder.iterdir()):
      if path.name.startswith("."):
        continue
      if path.is_dir():
        inside = (
          file.suffix.lower()
          for file in path.iterdir()
          if not file.name.startswith(".")
        )
        name, usable = path.name, any(s in photo.SUFFIXES for s in inside)
      else:
        name, usable = path.stem, path.suffix.lower() in _SUFFIXES
      if usable:
        other = found.setdefault((folder.name, name), path)
        if other != path:
          raise ValueError(
            f"Two videos of {folder.name!r} are called {name!r}: "
            f"{other.name!r} and {path.name!r}; rename one."
          )
  return found


def _is_no_label(folder):
  return folder.name.lower().startswith((".", "__macosx", "openface"))


def _subjects(manual_dir, videos):
  """Who is seen: by subjects.csv, else by what a name begins with."""
  file = face_clips.child(manual_dir, "subjects.csv")
  if not file.exists():
    return {one: re.split(r"[_\-. ]", one[1])[0] for one in videos}
  rows = table.read(file, ("video", "subject"))
  known = {row["video"]: row["subject"] for _, row in rows}
  subjects = {}
  for label, stem in videos:
    names = (f"{label}/{videos[label, stem].name}", f"{label}/{stem}")
    names += (videos[label, stem].name, stem)
    subject = next((known[name] for name in names if name in known), None)
    if subject is None:
      raise ValueError(
        f"{str(file)!r} names no subject for {names[0]!r}: add the line "
        f"'{names[0]},<subject>'."
      )
    subjects[label, stem] = subject
  return subjects

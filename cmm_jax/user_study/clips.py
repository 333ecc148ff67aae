"""The clips that a study can show: clips.csv and each model's videos."""

import collections
import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

COLUMNS = ("clip", "subject", "label")


@dataclasses.dataclass(frozen=True)
class Clip:
  """A row of clips.csv; every model has a video of it."""

  clip: str
  subject: str
  label: str


def read_clips(
  videos: str | os.PathLike, models: Sequence[str]
) -> tuple[Clip, ...]:
  """Reads clips.csv and checks that every model has a video of every clip.

  Args:
    videos: a folder with clips.csv (clip,subject,label) and a folder per model
      with <clip>.mp4.
    models: the models whose videos are required.

  Raises:
    FileNotFoundError: clips.csv, a model's folder or a video is missing.
    ValueError: clips.csv is malformed.
  """
  videos = pathlib.Path(videos)
  file = videos / "clips.csv"
  if not file.is_file():
    raise FileNotFoundError(
      f"No list of clips {file}: write the models' videos first (python -m "
      "cmm_jax.evaluate), or name their folder with --videos."
    )
  clips = _read_csv(file)
  for model in models:
    if not (videos / model).is_dir():
      existing = sorted(f.name for f in videos.iterdir() if f.is_dir())
      raise FileNotFoundError(
        f"No folder of videos {videos / model}; there are "
        f"{', '.join(existing) or 'none'}: write that model's videos first, or "
        "compare others with --comparison."
      )
    missing = [c for c in clips if not video_path(videos, model, c).is_file()]
    if missing:
      raise FileNotFoundError(
        f"No video {video_path(videos, model, missing[0])} ({len(missing)} of "
        f"the {len(clips)} clips in {file} are missing there): write that "
        "model's videos again."
      )
  return clips


def video_path(videos: pathlib.Path, model: str, clip: Clip) -> pathlib.Path:
  """The path of a model's video of a clip."""
  return videos / model / f"{clip.clip}.mp4"


def _read_csv(file):
  with file.open(newline="", encoding="utf-8") as lines:
    rows = csv.DictReader(lines)
    if tuple(rows.fieldnames or ()) != COLUMNS:
      raise ValueError(
        f"{file} has the columns {','.join(rows.fieldnames or ()) or '(none)'} "
        f"instead of {','.join(COLUMNS)}: write it again."
      )
    clips = []
    for row in rows:
      if len(row) != len(COLUMNS) or not all(row.values()):
        raise ValueError(
          f"Line {rows.line_num} of {file} does not have one value each for "
          f"{', '.join(COLUMNS)}: fix that line."
        )
      clips.append(Clip(**row))
  counts = collections.Counter(c.clip for c in clips)
  duplicates = [name for name, count in counts.items() if count > 1]
  if duplicates:
    raise ValueError(
      f"{file} lists the clip {duplicates[0]!r} more than once: keep one of "
      "its lines."
    )
  return tuple(clips)

"""The clips that a study can show: clips.csv and each model's videos."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Sequence

from etils import epath

from cmm_jax import excerpt
from cmm_jax.preprocess import table

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
  clips = []
  for number, row in table.read(epath.Path(file), COLUMNS):
    if (
      not all(row.values()) or pathlib.PurePath(row["clip"]).name != row["clip"]
    ):
      raise ValueError(
        f"Line {number} of {str(file)!r} does not have one value each for "
        f"{', '.join(COLUMNS)}, or its clip is no name of a file: fix that "
        "line."
      )
    clips.append(Clip(**row))
  counts = collections.Counter(c.clip for c in clips)
  duplicates = [name for name, count in counts.items() if count > 1]
  if duplicates:
    raise ValueError(
      f"{str(file)!r} lists the clip {excerpt.quote(duplicates[0])} more than "
      "once: keep one of its lines."
    )
  return tuple(clips)

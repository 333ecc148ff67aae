"""Which pairs of videos a study shows, and which of the two is on the left."""

import collections
import csv
import dataclasses
import os
import pathlib
import random
from collections.abc import Sequence

COLUMNS = ("clip", "subject", "label")


@dataclasses.dataclass(frozen=True)
class Clip:
  """A line of clips.csv: what each model has a video of."""

  clip: str
  subject: str
  label: str


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two models whose videos of the same clips are compared."""

  first: str
  second: str

  def __str__(self):
    return f"{self.first}:{self.second}"


@dataclasses.dataclass(frozen=True)
class Question:
  """One pair as it is shown: two models' videos of one clip."""

  comparison: Comparison
  clip: Clip
  left: str  # the model on the left
  right: str


def read_comparison(text: str) -> Comparison:
  """A comparison from "first:second".

  Raises:
    ValueError: that is not two names of different models.
  """
  models = text.split(":")
  if len(models) != 2 or not all(models) or models[0] == models[1]:
    raise ValueError(
      f"{text!r} does not name two models to compare: write first:second, such "
      "as cmm_net:cra_net."
    )
  return Comparison(*models)


def read_clips(
  videos: str | os.PathLike, models: Sequence[str]
) -> tuple[Clip, ...]:
  """Reads which clips there are, and makes sure that each model has them all.

  Args:
    videos: a folder with clips.csv (clip,subject,label) and, for each model, a
      folder of <clip>.mp4.
    models: whose videos are wanted.

  Raises:
    FileNotFoundError: the list, a model's folder or a video is missing.
    ValueError: the list is not as above.
  """
  videos = pathlib.Path(videos)
  file = videos / "clips.csv"
  if not file.is_file():
    raise FileNotFoundError(
      f"No list of clips {file}: write the models' videos first, or name their "
      "folder with --videos."
    )
  clips = _read_list(file)
  for model in models:
    if not (videos / model).is_dir():
      there = sorted(f.name for f in videos.iterdir() if f.is_dir())
      raise FileNotFoundError(
        f"No folder of videos {videos / model}; there are "
        f"{', '.join(there) or 'none'}: write that model's videos first, or "
        "compare others with --pair."
      )
    missing = [c for c in clips if not video_of(videos, model, c).is_file()]
    if missing:
      raise FileNotFoundError(
        f"No video {video_of(videos, model, missing[0])} ({len(missing)} of "
        f"the {len(clips)} clips in {file} are missing there): write that "
        "model's videos again."
      )
  return clips


def video_of(videos: pathlib.Path, model: str, clip: Clip) -> pathlib.Path:
  """Where a model's video of a clip lies."""
  return videos / model / f"{clip.clip}.mp4"


def _read_list(file):
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
          f"Line {rows.line_num} of {file} does not give one "
          f"{', one '.join(COLUMNS)}: mend it."
        )
      clips.append(Clip(**row))
  counts = collections.Counter(c.clip for c in clips)
  twice = [name for name, count in counts.items() if count > 1]
  if twice:
    raise ValueError(
      f"{file} has the clip {twice[0]!r} more than once: keep one line of it."
    )
  return tuple(clips)


def make(
  clips: Sequence[Clip],
  comparisons: Sequence[Comparison],
  pairs: int,
  seed: int,
) -> list[Question]:
  """Draws the pairs; the same arguments always give the same ones.

  All comparisons show the same clips, so that they are on an equal footing.
  Every label has as many clips as every other, and every model is as often on
  the left as on the right, in each label too; up to one where a number is odd.
  People come back only after all others of their label have been shown. The
  questions are shuffled, so that their numbers say nothing.

  Args:
    clips: to draw from.
    comparisons: each of two models.
    pairs: how many for each comparison.
    seed: of the drawing.

  Raises:
    ValueError: a label has too few clips, there is nothing to compare, or a
      comparison is asked for twice.
  """
  sets = [frozenset((c.first, c.second)) for c in comparisons]
  if not sets or len(set(sets)) < len(sets):
    raise ValueError(
      "A study needs at least one comparison, and each only once; asked for: "
      f"{', '.join(map(str, comparisons)) or 'none'}."
    )
  if pairs < 1:
    raise ValueError(f"A comparison needs at least 1 pair, not {pairs}.")
  draw = random.Random(seed)
  chosen = _choose(clips, pairs, draw)
  questions = []
  for comparison in comparisons:
    first_is_left = draw.random() < 0.5
    for clip in chosen:
      sides = (comparison.first, comparison.second)
      questions.append(
        Question(comparison, clip, *(sides if first_is_left else sides[::-1]))
      )
      # In turn along clips that are sorted by label, so it is fair in each.
      first_is_left = not first_is_left
  draw.shuffle(questions)
  return questions


def _choose(clips, pairs, draw):
  """As many clips of each label as of every other, one label after another."""
  groups = collections.defaultdict(list)
  for clip in clips:
    groups[clip.label].append(clip)
  if not groups:
    raise ValueError("There are no clips to make pairs of: list some.")
  labels = sorted(groups)
  draw.shuffle(labels)  # which of them have one more is chance
  chosen = []
  for i, label in enumerate(labels):
    wanted = pairs // len(labels) + (i < pairs % len(labels))
    group = sorted(groups[label], key=lambda c: c.clip)
    if len(group) < wanted:
      raise ValueError(
        f"{pairs} pairs take {wanted} clips of {label!r}, but there are only "
        f"{len(group)}: ask for fewer with --pairs, or write videos of more "
        "clips."
      )
    draw.shuffle(group)
    seen = collections.Counter()
    times = {}
    for clip in group:
      times[clip] = seen[clip.subject]
      seen[clip.subject] += 1
    chosen += sorted(group, key=times.__getitem__)[:wanted]
  return chosen

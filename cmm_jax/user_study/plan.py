"""Samples the pairs of videos that a study shows, and their sides."""

import collections
import dataclasses
import random
from collections.abc import Sequence

from cmm_jax.user_study.clips import Clip


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
  left: str  # the model shown on the left
  right: str


def parse_comparison(text: str) -> Comparison:
  """Parses "first:second".

  Raises:
    ValueError: the text does not name two different models.
  """
  models = text.split(":")
  if len(models) != 2 or not all(models) or models[0] == models[1]:
    raise ValueError(
      f"{text!r} does not name two models to compare: write first:second, such "
      "as cmm_net:cra_net."
    )
  return Comparison(*models)


def sample_questions(
  clips: Sequence[Clip],
  comparisons: Sequence[Comparison],
  pairs: int,
  seed: int,
) -> list[Question]:
  """Samples the questions, deterministically for the same arguments.

  All comparisons show the same clips. Labels are balanced, and within each
  label so are the sides: counts differ by at most one. A subject reappears only
  after every other subject of that label has been shown. The questions are
  shuffled, so that their order reveals nothing.

  Args:
    clips: the clips to sample from.
    comparisons: the pairs of models.
    pairs: the number of clips that each comparison shows.
    seed: of the random numbers.

  Raises:
    ValueError: a label has too few clips, there is nothing to compare, or a
      comparison is given twice.
  """
  sets = [frozenset((c.first, c.second)) for c in comparisons]
  if not sets or len(set(sets)) < len(sets):
    raise ValueError(
      "A study needs at least one comparison, and each only once; given: "
      f"{', '.join(map(str, comparisons)) or 'none'}."
    )
  if pairs < 1:
    raise ValueError(f"A comparison needs at least 1 pair, not {pairs}.")
  rng = random.Random(seed)
  sampled = _sample_clips(clips, pairs, rng)
  questions = []
  for comparison in comparisons:
    first_is_left = rng.random() < 0.5
    for clip in sampled:
      sides = (comparison.first, comparison.second)
      questions.append(
        Question(comparison, clip, *(sides if first_is_left else sides[::-1]))
      )
      # The clips are grouped by label: alternating balances every label.
      first_is_left = not first_is_left
  rng.shuffle(questions)
  return questions


def _sample_clips(clips, pairs, rng):
  """Samples `pairs` clips, balanced over labels and grouped by label."""
  groups = collections.defaultdict(list)
  for clip in clips:
    groups[clip.label].append(clip)
  if not groups:
    raise ValueError("There are no clips to make pairs of: list some.")
  labels = sorted(groups)
  rng.shuffle(labels)  # the labels that get one clip more are random
  sampled = []
  for i, label in enumerate(labels):
    count = pairs // len(labels) + (i < pairs % len(labels))
    group = sorted(groups[label], key=lambda c: c.clip)
    if len(group) < count:
      raise ValueError(
        f"{pairs} pairs take {count} clips of {label!r}, but there are only "
        f"{len(group)}: ask for fewer with --pairs, or write videos of more "
        "clips."
      )
    rng.shuffle(group)
    seen = collections.Counter()
    appearance = {}  # clip -> how often its subject came before
    for clip in group:
      appearance[clip] = seen[clip.subject]
      seen[clip.subject] += 1
    sampled += sorted(group, key=appearance.__getitem__)[:count]
  return sampled

"""Table 2 from a study's answers: preferences with confidence intervals.

Only participants who have answered every question count. The others may have
withdrawn (the first page says that stopping is how to), and without them every
pair has been answered by the same people.
"""

import collections
import json
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from cmm_jax.evaluation import tables
from cmm_jax.evaluation.metrics import confidence
from cmm_jax.models import registry
from cmm_jax.user_study import records, store

VERDICTS = ("first", "similar", "second")

# Table 2 of the paper: comparison -> label -> percent of each verdict.
_PAPER = {
  "cmm_net:video_gan": {
    "spontaneous": (85.14, 4.72, 10.14),
    "posed": (83.68, 9.08, 7.24),
  },
  "cmm_net:cra_net": {
    "spontaneous": (54.87, 27.37, 17.76),
    "posed": (59.72, 28.33, 11.94),
  },
}
_INTERVALS = (
  "Brackets: 95 % bootstrap intervals over participants (one participant's "
  "answers are correlated, so participants are resampled, not answers; the "
  "pairs are taken as fixed). With fewer than about ten participants the "
  "intervals are too narrow; with one there are none."
)


def count(study: store.Store) -> dict:
  """Counts a study's answers; the result is JSON-serializable.

  Raises:
    ValueError: no participant has finished.
  """
  people = study.participants()
  finished = {p.number for p in people if p.finished}
  started = sum(bool(p.answers) for p in people) - len(finished)
  if not finished:
    raise ValueError(
      f"Nobody has answered every question of the study in {study.folder} yet "
      f"({started} of {len(people)} have started): send the links that `serve` "
      "prints, and wait."
    )
  answers = study.answers()
  counted = [a for a in answers if a.participant in finished]
  return {
    "participants": len(finished),
    "answers": len(counted),
    "left_out": {
      "participants": started,
      "answers": len(answers) - len(counted),
    },
    "comparisons": _shares(counted),
  }


def _shares(answers: Sequence[records.Answer]) -> dict:
  """Comparison -> label or overall -> verdict -> its share in percent."""
  groups = collections.defaultdict(list)
  for answer in answers:
    groups[answer.question.comparison].append(answer)
  shares = {}
  for comparison in sorted(groups, key=str):
    group = groups[comparison]
    labels = collections.defaultdict(list)
    for answer in group:
      labels[answer.question.clip.label].append(answer)
    shares[str(comparison)] = {
      "first": comparison.first,
      "second": comparison.second,
      "labels": {label: _estimate(labels[label]) for label in sorted(labels)},
      "overall": _estimate(group),
    }
  return shares


def _estimate(answers):
  """The share of each verdict among the answers, with its interval."""
  by_person = collections.defaultdict(list)
  for answer in answers:
    by_person[answer.participant].append(verdict(answer))
  cell = {
    "answers": len(answers),
    "pairs": len({a.question.clip for a in answers}),
  }
  for kind in VERDICTS:
    # All participants answered the same questions, so the mean of their shares
    # is the share of all answers.
    shares = np.array(
      [100 * given.count(kind) / len(given) for given in by_person.values()]
    )
    estimate = confidence.mean_over_clips(shares, "The share of participants")
    single = len(shares) == 1  # the spread between participants is unknown
    cell[kind] = {
      "percent": estimate.value,
      "low": None if single else estimate.low,
      "high": None if single else estimate.high,
    }
  return cell


def verdict(answer: records.Answer) -> str:
  """The preferred model, one of `VERDICTS`, whichever side it was shown on."""
  if answer.choice == "similar":
    return "similar"
  question = answer.question
  preferred = question.left if answer.choice == "left" else question.right
  return "first" if preferred == question.comparison.first else "second"


def to_markdown(counts: Mapping, heading: str = "# User study") -> str:
  """Formats the counts as a Markdown table, next to the paper's numbers."""
  lines = [f"{heading}: which video looks more realistic?", ""]
  for name, comparison in counts["comparisons"].items():
    columns = _columns(comparison)
    paper = _PAPER.get(name, {})
    paper = {label: paper[label] for label, _ in columns if label in paper}
    heads = [f"{label} ({cell['answers']} answers)" for label, cell in columns]
    heads += [f"paper\\*: {label}" for label in paper]
    lines += [
      "| preferred, % | " + " | ".join(heads) + " |",
      "|---" * (len(heads) + 1) + "|",
    ]
    for i, (kind, title) in enumerate(_rows(comparison)):
      cells = [_share(cell[kind]) for _, cell in columns]
      cells += [f"{shares[i]:.2f}" for shares in paper.values()]
      lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines.append("")
  lines += [_basis(counts), "", _INTERVALS]
  if any(name in _PAPER for name in counts["comparisons"]):
    lines += [
      "",
      "\\* Table 2 of Wang et al. (CVPR 2018): other videos, 40 other "
      "participants.",
    ]
  return "\n".join(lines) + "\n"


def to_latex(counts: Mapping) -> str:
  """Formats the counts as the paper's table; needs the package booktabs."""
  comparisons = [_columns(c) for c in counts["comparisons"].values()]
  # All comparisons show the same clips, hence the same labels.
  labels = [label for label, _ in comparisons[0]]
  lines = [
    *(f"% {line}" for line in (_basis(counts), _INTERVALS)),
    r"\begin{tabular}{l" + "c" * len(labels) + "}",
    r"\toprule",
    " & ".join(["Preferred (\\%)", *map(tables.escape_latex, labels)]) + r" \\",
  ]
  for comparison, columns in zip(
    counts["comparisons"].values(), comparisons, strict=True
  ):
    lines.append(r"\midrule")
    for kind, title in _rows(comparison):
      title = r"$\sim$" if kind == "similar" else tables.escape_latex(title)
      cells = [_share(cell[kind]) for _, cell in columns]
      lines.append(" & ".join([title, *cells]) + r" \\")
  lines += [r"\bottomrule", r"\end{tabular}"]
  return "\n".join(lines) + "\n"


def user_study_tables(workdir: str | os.PathLike) -> dict[str, str]:
  """Table 2 as "markdown" and "latex" for the evaluation of a run.

  Empty if the run has no user study; also, with a line on stderr, if nobody has
  finished it.
  """
  try:
    counts = count(store.Store(pathlib.Path(workdir) / "user_study"))
  except FileNotFoundError:  # no study
    return {}
  except ValueError as error:
    print(f"Without table 2: {error}", file=sys.stderr)
    return {}
  markdown = to_markdown(counts, heading="## Table 2: user study")
  return {"markdown": "\n" + markdown, "latex": "\n" + to_latex(counts)}


def write(counts: Mapping, folder: str | os.PathLike) -> list[pathlib.Path]:
  """Writes user_study.md, .tex and .json to a folder; returns their paths.

  Raises:
    OSError: a file cannot be written.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  texts = {
    "md": to_markdown(counts),
    "tex": to_latex(counts),
    "json": json.dumps(counts, indent=2) + "\n",
  }
  for ending, text in texts.items():
    (folder / f"user_study.{ending}").write_text(text)
  return [folder / f"user_study.{ending}" for ending in texts]


def _rows(comparison):
  """The verdicts with their row titles."""
  return [
    ("first", _title(comparison["first"])),
    ("similar", "similar"),
    ("second", _title(comparison["second"])),
  ]


def _title(model):
  """A model's heading; its name if its videos come from elsewhere."""
  known = registry.MODELS.get(model)
  return known.title if known else model


def _columns(comparison):
  """The columns' titles with their cells."""
  return [*comparison["labels"].items(), ("all", comparison["overall"])]


def _share(share):
  if share["low"] is None:
    return f"{share['percent']:.1f}"
  return f"{share['percent']:.1f} [{share['low']:.1f}, {share['high']:.1f}]"


def _basis(counts):
  """One sentence on the answers that are counted and left out."""
  left_out = counts["left_out"]
  return (
    f"{counts['answers']} answers by {counts['participants']} participants "
    f"who finished; {left_out['answers']} answers by "
    f"{left_out['participants']} who did not are left out."
  )

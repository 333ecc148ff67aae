"""Table 2 from a study's answers: who was preferred how often, and how sure.

Only participants who have answered every question count. The others may have
stopped because they no longer wanted to take part (the first page says that
this is how to), and without them every pair has been judged by the same people.
"""

import collections
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from cmm_jax.evaluation.metrics import confidence
from cmm_jax.user_study import store

VERDICTS = ("first", "similar", "second")

_TITLES = {
  "cmm_net": "CMM-Net",
  "cra_net": "CRA-Net",
  "originals": "Originals",
  "video_gan": "Video-GAN",
}
# Table 2: its comparison, label, and the shares of the verdicts above.
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
  "Brackets: the middle 95 % of what comes out when the participants are drawn "
  "anew with replacement. One person's answers hang together, so people are "
  "drawn and not answers; the pairs are taken as given. With fewer than about "
  "ten participants the intervals are too narrow, and with one there are none."
)


def count(study: store.Store) -> dict:
  """Counts a study's answers; the result can be written as JSON.

  Raises:
    ValueError: nobody has finished.
  """
  people = study.participants()
  finished = {p.number for p in people if p.answers and p.current is None}
  begun = sum(bool(p.answers) for p in people) - len(finished)
  if not finished:
    raise ValueError(
      f"Nobody has answered every question of the study in {study.folder} yet "
      f"({begun} of {len(people)} have begun): send the links that `serve` "
      "prints, and wait."
    )
  answers = study.answers()
  counted = [a for a in answers if a.participant in finished]
  return {
    "participants": len(finished),
    "answers": len(counted),
    "left_out": {
      "participants": begun,
      "answers": len(answers) - len(counted),
    },
    "comparisons": _shares(counted),
  }


def _shares(answers: Sequence[store.Answer]) -> dict:
  """Comparison -> label or all -> verdict -> its share in percent."""
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
  """Each verdict's share of some answers, with its interval."""
  by_person = collections.defaultdict(list)
  for answer in answers:
    by_person[answer.participant].append(verdict(answer))
  cell = {
    "answers": len(answers),
    "pairs": len({a.question.clip for a in answers}),
  }
  for wanted in VERDICTS:
    # Everyone has answered the same questions, so that the mean over people is
    # the share of all answers.
    shares = np.array(
      [100 * given.count(wanted) / len(given) for given in by_person.values()]
    )
    found = confidence.mean_over_clips(shares, "The share of participants")
    alone = len(shares) == 1  # one person says nothing about others
    cell[wanted] = {
      "percent": found.mean,
      "low": None if alone else found.low,
      "high": None if alone else found.high,
    }
  return cell


def verdict(answer: store.Answer) -> str:
  """Which model an answer prefers, wherever it was shown."""
  if answer.choice == "similar":
    return "similar"
  question = answer.question
  preferred = question.left if answer.choice == "left" else question.right
  return "first" if preferred == question.comparison.first else "second"


def to_markdown(counts: Mapping) -> str:
  """The table and what it rests on, the paper's numbers beside it."""
  lines = ["# User study: which video looks more realistic?", ""]
  for name, comparison in counts["comparisons"].items():
    columns = _columns(comparison)
    theirs = _PAPER.get(name, {})
    paper = {label: theirs[label] for label, _ in columns if label in theirs}
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
      "\\* Table 2 of Wang et al. (CVPR 2018): other videos, other people, 40 "
      "of them.",
    ]
  return "\n".join(lines) + "\n"


def to_latex(counts: Mapping) -> str:
  """The table in the paper's shape; it needs the package booktabs."""
  tables = [_columns(c) for c in counts["comparisons"].values()]
  # All comparisons show the same clips, so that they have the same labels.
  labels = [label for label, _ in tables[0]]
  lines = [
    *(f"% {line}" for line in (_basis(counts), _INTERVALS)),
    r"\begin{tabular}{l" + "c" * len(labels) + "}",
    r"\toprule",
    " & ".join(["Preferred (\\%)", *map(_escape, labels)]) + r" \\",
  ]
  for comparison, columns in zip(
    counts["comparisons"].values(), tables, strict=True
  ):
    lines.append(r"\midrule")
    for kind, title in _rows(comparison):
      title = r"$\sim$" if kind == "similar" else _escape(title)
      cells = [_share(cell[kind]) for _, cell in columns]
      lines.append(" & ".join([title, *cells]) + r" \\")
  lines += [r"\bottomrule", r"\end{tabular}"]
  return "\n".join(lines) + "\n"


def write(counts: Mapping, folder: str | os.PathLike) -> list[pathlib.Path]:
  """Writes user_study.md, .tex and .json to a folder; gives the files.

  Raises:
    OSError: they cannot be written.
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
  """The kinds of verdict and what they are called in a table."""
  titles = {
    "first": comparison["first"],
    "similar": "similar",
    "second": comparison["second"],
  }
  return [(kind, _TITLES.get(titles[kind], titles[kind])) for kind in VERDICTS]


def _columns(comparison):
  """The columns of a table: what each is called, and its shares."""
  return [*comparison["labels"].items(), ("all", comparison["overall"])]


def _share(share):
  if share["low"] is None:
    return f"{share['percent']:.1f}"
  return f"{share['percent']:.1f} [{share['low']:.1f}, {share['high']:.1f}]"


def _basis(counts):
  """How much was counted, and what was not."""
  left_out = counts["left_out"]
  return (
    f"{counts['answers']} answers of {counts['participants']} participants "
    f"who finished; {left_out['answers']} answers of "
    f"{left_out['participants']} who did not are left out."
  )


def _escape(text):
  """A name as LaTeX prints it."""
  named = {"\\": "backslash", "~": "asciitilde", "^": "asciicircum"}
  signs = {sign: f"\\{sign}" for sign in "&%$#_{}"}
  signs |= {sign: f"\\text{name}{{}}" for sign, name in named.items()}
  return text.translate(str.maketrans(signs))

"""The paper's tables, ours beside theirs, as Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

from cmm_jax.comparison import ORIGINALS, STILL, Comparison

NAMES = {  # of the models, in the tables' order
  ORIGINALS: "originals",
  STILL: "neutral frame repeated",
  "video_gan": "Video-GAN",
  "cra_net": "CRA-Net",
  "cmm_net": "CMM-Net",
  "cmm_net_as_printed": "CMM-Net, losses as printed",
}

# Table 1's columns and those of later papers: metric, heading, digits.
_QUALITY = (
  ("ssim", "SSIM ↑", 3),
  ("ssim_smile", "SSIM of the smile ↑", 3),
  ("inception_score", "IS", 3),
  ("delta_is", "ΔIS ↓", 3),
  ("fid", "FID ↓", 1),
  ("aed", "AED ↓", 3),
  ("rank_1", "rank-1 ↑", 2),
)
_DYNAMICS = (
  ("au06_distance", "AU06 ↓", 2),
  ("au12_distance", "AU12 ↓", 2),
)

# Tables 1 and 3 of Wang et al. 2018, on their data: IS, ΔIS, SSIM, AU06.
_PUBLISHED = {
  "UvA-NEMO spontaneous": {
    ORIGINALS: (1.419, None, None, None),
    "video_gan": (1.576, 0.157, 0.466, 2.976),
    "cra_net": (1.311, 0.108, 0.553, 4.452),
    "cmm_net": (1.354, 0.065, 0.854, 2.234),
  },
  "UvA-NEMO posed": {
    ORIGINALS: (1.437, None, None, None),
    "video_gan": (1.499, 0.062, 0.450, 2.618),
    "cra_net": (1.310, 0.127, 0.471, 9.783),
    "cmm_net": (1.435, 0.002, 0.827, 1.472),
  },
  "DISFA spontaneous": {
    ORIGINALS: (1.426, None, None, None),
    "video_gan": (1.777, 0.351, 0.243, 3.775),
    "cra_net": (1.833, 0.407, 0.749, 2.400),
    "cmm_net": (1.447, 0.021, 0.747, 2.035),
  },
  "DISFA+ posed": {
    ORIGINALS: (1.595, None, None, None),
    "video_gan": (1.547, 0.048, 0.434, 7.979),
    "cra_net": (1.534, 0.061, 0.839, 9.931),
    "cmm_net": (1.533, 0.062, 0.810, 1.812),
  },
}


def markdown(found: Comparison) -> str:
  """All tables, with what they need to be read rightly."""
  labels = _labels(found)
  parts = [
    "## Table 1: quality",
    f"Mean over clips with its 95 % bootstrap interval; IS and FID by "
    f"{found.network}, of all clips together. Compare within a column only.",
  ]
  for label in labels:
    parts += [f"### {label}", _grid(_rows(found, label, _QUALITY))]
  parts += [
    "## Table 3: distance of the action units' mean curves",
    "Sum over frames of the difference to the originals' curve, smoothed over "
    "5 frames. Both are read by the same network.",
  ]
  for label in labels:
    parts += [f"### {label}", _grid(_rows(found, label, _DYNAMICS))]
  parts += [
    "## What the paper found, on other data",
    "Wang et al. 2018, tables 1 and 3. Other faces, another network behind IS: "
    "only the order of the models can be compared.",
  ]
  for name, models in _PUBLISHED.items():
    rows = [["model", "IS", "ΔIS ↓", "SSIM ↑", "AU06 ↓"]]
    for model, values in models.items():
      cells = ["" if v is None else f"{v:.3f}" for v in values]
      rows.append([NAMES[model], *cells])
    parts += [f"### {name}", _grid(rows)]
  return "\n\n".join(parts) + "\n"


def latex(found: Comparison) -> str:
  """Tables 1 and 3 with booktabs' rules."""
  parts = []
  for title, columns in (
    (f"Quality; IS and FID by {found.network}.", _QUALITY),
    ("Distance of the action units' mean curves.", _DYNAMICS),
  ):
    for label in _labels(found):
      head, *rows = _rows(found, label, columns, interval=False)
      lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (head, *rows)]
      lines.insert(1, r"\midrule")
      parts += [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)} Label: {_escaped(label)}.}}",
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
      ]
  return "\n".join(parts)


def _labels(found):
  return list(next(iter(found.table.values())))


def _rows(found, label, columns, interval=True):
  """A heading and a row for each model that has any of the columns."""
  rows = [["model", *(heading for _, heading, _ in columns)]]
  for model in [m for m in NAMES if m in found.table]:
    values = found.table[model][label]
    cells = [
      _cell(values.get(metric), digits, interval)
      for metric, _, digits in columns
    ]
    if any(cells):
      rows.append([NAMES[model], *cells])
  return rows


def _cell(value: Mapping[str, Any] | None, digits: int, interval: bool) -> str:
  if value is None:
    return ""
  text = f"{value['mean']:.{digits}f}"
  if interval and value["low"] is not None:
    text += f" ({value['low']:.{digits}f}–{value['high']:.{digits}f})"
  return text


def _grid(rows: Sequence[Sequence[str]]) -> str:
  head, *others = ("| " + " | ".join(row) + " |" for row in rows)
  rule = "|" + "---|" * len(rows[0])
  return "\n".join([head, rule, *others])


def _escaped(text: str) -> str:
  for sign, command in (
    ("%", r"\%"),
    ("_", r"\_"),
    ("&", r"\&"),
    ("↑", r"$\uparrow$"),
    ("↓", r"$\downarrow$"),
    ("Δ", r"$\Delta$"),
    ("–", "--"),
  ):
    text = text.replace(sign, command)
  return text

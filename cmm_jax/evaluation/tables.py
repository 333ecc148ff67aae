"""Tables as Markdown and LaTeX."""

from collections.abc import Iterable, Mapping, Sequence

from cmm_jax.evaluation.metrics.confidence import Estimate, Table
from cmm_jax.evaluation.metrics.metric import Metric

_LATEX = {
  "\\": r"\textbackslash{}",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  **{sign: f"\\{sign}" for sign in "&%$#_{}"},
  "↑": r"$\uparrow$",
  "↓": r"$\downarrow$",
  "Δ": r"$\Delta$",
  "–": "--",
  "×": r"$\times$",
  "…": r"\ldots{}",
}


def columns(metrics: Iterable[Metric], table: str) -> list[Metric]:
  """The metrics that are columns of one of the tables."""
  return [m for m in metrics if table in m.tables and m.column]


def rows(
  table: Table,
  label: str,
  titles: Mapping[str, str],
  metrics: Sequence[Metric],
  *,
  intervals: bool = True,
) -> list[list[str]]:
  """A table of one label as cells, the heading first.

  Args:
    table: the estimates.
    label: which of the table's labels.
    titles: model -> its title, in order. Models without any value are left out.
    metrics: the columns.
    intervals: whether confidence intervals are shown.
  """
  cells = [["model", *(metric.title for metric in metrics)]]
  for model, title in titles.items():
    estimates = table.get(model, {}).get(label, {})
    values = [
      _cell(estimates.get(metric.name), metric.digits, intervals)
      for metric in metrics
    ]
    if any(values):
      cells.append([title, *values])
  return cells


def _cell(estimate: Estimate | None, digits: int, interval: bool) -> str:
  if estimate is None:
    return ""
  text = f"{estimate.value:.{digits}f}"
  if interval and estimate.low is not None:
    text += f" ({estimate.low:.{digits}f}–{estimate.high:.{digits}f})"
  return text


def markdown(cells: Sequence[Sequence[str]]) -> str:
  """A table of cells, the heading first, as Markdown."""
  head, *body = ("| " + " | ".join(row) + " |" for row in cells)
  rule = "|" + "---|" * len(cells[0])
  return "\n".join([head, rule, *body])


def latex(cells: Sequence[Sequence[str]], caption: str) -> str:
  """A table of cells, the heading first, as LaTeX; needs booktabs."""
  head, *body = (" & ".join(map(escape_latex, row)) + r" \\" for row in cells)
  return "\n".join(
    [
      r"\begin{table}",
      rf"\caption{{{escape_latex(caption)}}}",
      rf"\begin{{tabular}}{{l{'r' * (len(cells[0]) - 1)}}}",
      r"\toprule",
      head,
      r"\midrule",
      *body,
      r"\bottomrule",
      r"\end{tabular}",
      r"\end{table}",
      "",
    ]
  )


def escape_latex(text: str) -> str:
  """Text as LaTeX prints it."""
  return text.translate(str.maketrans(_LATEX))

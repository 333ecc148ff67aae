"""Tables as text."""

from cmm_jax.evaluation import tables
from cmm_jax.evaluation.metrics.confidence import Estimate
from cmm_jax.evaluation.metrics.metric import MODES, QUALITY, Metric

METRICS = [
  Metric(
    name=name,
    heading=heading,
    unit=unit,
    better=better,
    digits=digits,
    tables=tables,
    column=name != "hidden",
    needs=(),
    of_set=lambda *_: 0.0,
  )
  for name, heading, unit, better, digits, tables in (
    ("apd", "APD", "px", "", 2, (MODES,)),
    ("ssim", "SSIM", "", "higher", 3, (QUALITY, MODES)),
    ("hidden", "hidden", "px", "", 2, (MODES,)),
  )
]
TITLES = {"a": "A & B", "b": "no values", "missing": "not measured"}
TABLE = {
  "a": {"posed": {"apd": Estimate(0.5, 0.25, 0.75, 4)}},
  "b": {"posed": {}},
}


def rows(intervals=True):
  columns = tables.columns(METRICS, MODES)
  return tables.rows(TABLE, "posed", TITLES, columns, intervals=intervals)


def test_columns_are_the_metrics_of_a_table_except_the_hidden_ones():
  assert [m.name for m in tables.columns(METRICS, MODES)] == ["apd", "ssim"]
  assert [m.name for m in tables.columns(METRICS, QUALITY)] == ["ssim"]


def test_rows_show_estimates_and_leave_out_models_without_any():
  assert rows() == [
    ["model", "APD, px", "SSIM ↑"],
    ["A & B", "0.50 (0.25–0.75)", ""],
  ]
  assert rows(intervals=False)[1] == ["A & B", "0.50", ""]


def test_an_estimate_without_an_interval_is_shown_alone():
  table = {"a": {"posed": {"apd": Estimate(0.5, None, None, 2)}}}

  assert tables.rows(table, "posed", TITLES, METRICS[:1])[1][1] == "0.50"


def test_markdown_has_a_rule_below_the_heading():
  assert tables.markdown(rows()).splitlines() == [
    "| model | APD, px | SSIM ↑ |",
    "|---|---|---|",
    "| A & B | 0.50 (0.25–0.75) |  |",
  ]


def test_latex_is_escaped():
  text = tables.latex(rows(), "50 % of a_b")

  assert r"A \& B & 0.50 (0.25--0.75) &  \\" in text
  assert r"SSIM $\uparrow$ \\" in text and r"\caption{50 \% of a\_b}" in text
  assert r"\begin{tabular}{lrr}" in text
  assert tables.escape_latex("\\^~{}#$×Δ…") == (
    r"\textbackslash{}\textasciicircum{}\textasciitilde{}\{\}\#\$"
    r"$\times$$\Delta$\ldots{}"
  )

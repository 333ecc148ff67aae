"""The document of all tables."""

import pytest

from cmm_jax.evaluation import paper_tables
from cmm_jax.evaluation.metrics.confidence import Estimate
from cmm_jax.evaluation.samples import ORIGINALS, STATIC
from cmm_jax.models import registry

ERRORS = {"landmarks_px": 0.5} | {
  f"{unit}_{quantity}": 0.25
  for unit in ("au06", "au12")
  for quantity in ("mae", "icc", "correlation")
}


def row(**values):
  return {"posed": {n: Estimate(v, v, v, 4) for n, v in values.items()}}


TABLE = {
  ORIGINALS: row(inception_score=1.5, landmark_error=1.0, apd_last_8=0.8),
  STATIC: row(ssim=0.8, landmark_error=2.0, ssim_last_8=0.7),
  "cmm_net": row(ssim=0.9, landmark_error=1.5, apd_last_8=0.7),
  "cmm_net_as_printed": row(apd_last_8=0.04),
  "cmm_net_push_10": row(apd_last_8=0.5),
}


@pytest.fixture(scope="module")
def document():
  return paper_tables.markdown(
    TABLE,
    ERRORS,
    classifier="a classifier",
    action_units_source="a regressor",
    label_chance=0.25,
  )


def test_every_table_has_the_models_that_were_measured(document):
  ours = document.split("## Published results")[0]

  assert ours.count("### posed\n") == 3  # quality, dynamics, modes
  assert ours.count("| CMM-Net |") == 2 and ours.count("| ours |") == 1
  assert ours.count("| originals |") == 2 and "Video-GAN" not in ours
  assert ours.count("| static (first frame repeated) |") == 2


def test_captions_name_what_has_measured(document):
  assert "predictions of a classifier." in document
  assert "Action units are measured by a regressor," in document
  assert "chance is 0.25." in document


def test_the_papers_own_numbers_are_quoted(document):
  # Table 1 of the paper: CMM-Net, UvA-NEMO, spontaneous.
  assert "| CMM-Net | 1.354 | 0.065 | 0.854 | 2.234 |" in document


def test_variants_of_the_modes_losses_have_a_table_of_their_own(document):
  quality, modes = document.split("## Modes")

  assert "as printed" not in quality
  assert "| as printed | " in modes and "0.04 (0.04–0.04)" in modes


def test_every_variant_has_a_row_beside_ours():
  titles = paper_tables.variant_titles()

  variants = {n for n, entry in registry.MODELS.items() if entry.variant}
  assert titles.keys() == variants | {ORIGINALS, "cmm_net"}
  assert list(titles)[:2] == [ORIGINALS, "cmm_net_as_printed"]


def test_latex_has_a_table_for_each_markdown_table():
  text = paper_tables.latex(TABLE, classifier="a_b")

  assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
  assert r"IS and FID by a\_b" in text
  for sign in "↑↓Δ–×…":
    assert sign not in text
  assert "static (first frame repeated) &" in text

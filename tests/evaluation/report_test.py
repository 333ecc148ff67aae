"""The report: its goals and its page."""

import shutil

import pytest

from cmm_jax.evaluation import report
from cmm_jax.evaluation.metrics.confidence import Estimate


def row(**values):
  return {"posed": {n: Estimate(v, v, v, 4) for n, v in values.items()}}


def table(**of_model):
  return {
    "originals": row(
      mouth_corner_displacement=3.0,
      bright_pixels=150.0,
      apd_last_8=0.8,
      apd_mouth_over_face=1.2,
      apd_eyes_over_face=1.0,
    ),
    "static": row(ssim_last_8=0.75),
    "cmm_net": row(
      ssim_last_8=0.8,
      mouth_corner_displacement=2.0,
      bright_pixels_of_modes=100.0,
      **of_model,
    ),
  }


def met(table):
  return [met for _, _, met in report.goals(table, "posed")]


def test_goals_are_met_or_missed_according_to_the_metrics():
  # SSIM is above by 0.05; the mouth moves two thirds as far, not four fifths;
  # two thirds of the pixels are bright; the APD is seven eighths of the
  # originals', its share a quarter larger in the mouth and half as large again
  # in the eyes; in the first frames it is above a fifth of that of the last.
  shares = dict(apd_mouth_over_face=1.5, apd_eyes_over_face=1.5)
  assert met(table(apd_last_8=0.7, apd_first_4=0.2, **shares)) == [
    *(True, False, True, True, True, False, False)
  ]
  shares = dict(apd_mouth_over_face=0.8, apd_eyes_over_face=0.75)
  assert met(table(apd_last_8=0.7, apd_first_4=0.1, **shares)) == [
    *(True, False, True, True, False, True, True)
  ]


def test_one_mode_has_no_apd_and_misses_its_goals():
  assert met(table()) == [True, False, True, *[False] * 4]


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
  """The folder of the report of a trained run."""
  workdir = tmp_path_factory.mktemp("report") / "run"
  shutil.copytree(finished.workdir, workdir)
  return report.build(str(workdir))


def test_the_page_needs_no_other_file(page):
  text = page.read_text()

  assert 'src="data:image/png;base64,' in text
  assert text.count("src=") == text.count('src="data:image/')
  assert "<link" not in text and "<script" not in text


def test_the_page_has_the_goals_the_metrics_and_the_errors(page):
  text = page.read_text()

  assert text.count(": met</tr>") + text.count(": missed</tr>") == 2 * 7
  for heading in ("APD, last 8 frames, px", "SSIM, last 8 frames ↑"):
    assert text.count(f"<td>{heading}<td>") == 2  # for each label
  assert "<td>static (first frame repeated)<td>CMM-Net</tr>" in text
  assert "<td>au06_icc<td>" in text


def test_the_photo_has_videos_of_every_label(page):
  for label in ("spontaneous", "posed"):
    names = {file.stem for file in page.parent.glob(f"photo/{label}/*.mp4")}
    assert names == {"conditional", "mode_1", "mode_2", "mode_3"}

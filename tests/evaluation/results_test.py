"""A trained run is evaluated and its results are written."""

import collections
import csv
import dataclasses
import json
import pathlib

import miniature
import numpy as np
import pytest
from PIL import Image

from cmm_jax.evaluation import measurements, results, samples
from cmm_jax.evaluation.metrics import registry
from cmm_jax.evaluation.metrics.metric import DYNAMICS, QUALITY, Metric

TOY = Metric(
  name="redness",
  heading="redness",
  tables=(QUALITY,),
  needs=("videos",),
  per_clip=lambda model, originals: model.videos[..., 0].mean((1, 2, 3)),
)


@pytest.fixture(scope="module")
def few_frames():
  """Fewer frames for the slow networks, and fewer training clips."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(measurements, "_CLASSIFIED_FRAMES", 2)
    patch.setattr(measurements, "_RECOGNIZED_FRAMES", 2)
    patch.setattr(measurements, "_DRIFT_STRIDE", 31)
    patch.setattr(results, "_MAX_LABEL_CLASSIFIER_CLIPS", 8)
    yield patch


@pytest.fixture(scope="module")
def calls():
  """How often each thing was done during the evaluation."""
  return collections.Counter()


@pytest.fixture(scope="module")
def evaluated(finished, few_frames, calls):
  """The results of the finished run, with a metric that a test declared."""

  def counted(name, function):
    def count(*args):
      calls[name, *[a for a in args if isinstance(a, str)]] += 1
      return function(*args)

    return count

  def counted_metric(metric):
    if metric.per_clip is None:
      return metric

    def per_clip(model, originals):
      calls[metric.name, id(model)] += 1
      return metric.per_clip(model, originals)

    return dataclasses.replace(metric, per_clip=per_clip)

  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(registry.METRICS, TOY.name, TOY)
    for name, metric in registry.METRICS.items():
      patch.setitem(registry.METRICS, name, counted_metric(metric))
    generator = counted("generator", samples.SmileGenerator)
    patch.setattr(samples, "SmileGenerator", generator)
    for module in (samples, results):
      patch.setattr(module, "Clips", counted("split", module.Clips))
    found = results.evaluate(finished.workdir)
    yield found


@pytest.fixture(scope="module")
def written(evaluated, calls, tmp_path_factory):
  """The folder with the written results, and how often what was done so far."""
  folder = results.write(
    str(tmp_path_factory.mktemp("run")),
    evaluated,
    markdown="\n## Table 2: a further one\n",
    latex="% a further one\n",
  )
  return folder, dict(calls)


@pytest.fixture(scope="module")
def folder(written):
  """The folder with the written results."""
  return written[0]


def test_a_run_is_evaluated_on_held_out_people(evaluated):
  test = evaluated.samples

  assert list(test.smiles) == ["cmm_net"]  # no other model was trained
  assert {c["subject"] for c in test.clips} == {"subject_6", "subject_7"}
  assert test.compared_models == ["originals", "static", "cmm_net"]
  for label in miniature.LABELS:
    row = evaluated.table["cmm_net"][label]
    assert row["ssim_last_8"].clips == 4  # two people, two takes
    assert row["fde"].value >= 0 and row["apd_last_8"].value > 0
    # The two takes of a person have one APD.
    assert evaluated.table["originals"][label]["apd_last_8"].clips == 2
    assert evaluated.mode_curves[label].keys() == {
      *("original, labels", "original, predicted", "conditional", "modes")
    }
  assert evaluated.regressor_errors.keys() >= {
    *("landmarks_px", "au06_icc", "au12_mae")
  }


def test_nothing_is_loaded_or_computed_twice(written, finished):
  _, calls = written
  assert calls["generator", finished.workdir, "cmm_net"] == 1
  data = finished.data.data_dir, finished.data.name
  assert calls["split", *data, "test"] == calls["split", *data, "train"] == 1
  assert set(calls.values()) == {1}


def test_every_metric_is_written_as_json(folder, evaluated):
  models = json.loads((folder / "metrics.json").read_text())

  assert models.keys() == {"originals", "static", "cmm_net"}
  for label in miniature.LABELS:
    # ΔIS, FID and AU curve distances are of sets and have no interval here.
    written = {name for model in models.values() for name in model[label]}
    # Density and coverage need more clips than these.
    missing = {"au12_half_rise", "density", "coverage"}
    assert written >= registry.METRICS.keys() - missing
    static = models["static"][label]["ssim"]
    assert static["clips"] == 4
    assert -1 <= static["low"] <= static["value"] <= static["high"] <= 1
    assert "ssim" not in models["originals"][label]
    score = models["originals"][label]["inception_score"]
    assert 1 <= score["low"] <= score["value"] <= score["high"]
    assert 0 < models["cmm_net"][label]["redness"]["value"] < 255
  details = json.loads((folder / "details.json").read_text())
  assert details["classifier"] == "EfficientNet-Lite0"
  assert details["action_units_source"] == "the run's regressor"
  assert details["label_chance"] == 0.5
  assert details["curves"]["posed"].keys() == models.keys()


def test_the_values_of_clips_are_written_and_average_to_the_estimates(
  folder, evaluated
):
  with (folder / "per_clip.csv").open() as file:
    rows = list(csv.DictReader(file))

  # Three models with the clips of both labels.
  assert len(rows) == 3 * len(evaluated.samples.clips)
  some = [
    row for row in rows if (row["model"], row["label"]) == ("cmm_net", "posed")
  ]
  clips = evaluated.samples.clips
  assert {row["subject"] for row in some} == {clip["subject"] for clip in clips}
  for metric in ("ssim", "label_accuracy", "apd_last_8", "redness"):
    mean = np.mean([float(row[metric]) for row in some])
    estimate = evaluated.table["cmm_net"]["posed"][metric]
    assert mean == pytest.approx(estimate.value)
  # A column per metric; what does not apply to the originals stays empty.
  assert {row["ssim"] for row in rows if row["model"] == "originals"} == {""}
  assert "fid" not in rows[0]


def test_tables_figures_and_videos_are_written(folder, evaluated):
  text = (folder / "tables.md").read_text()
  assert "| CMM-Net |" in text and "EfficientNet-Lite0" in text
  assert "| redness |" in text and "Table 2: a further one" in text
  latex = (folder / "tables.tex").read_text()
  assert r"\midrule" in latex and latex.endswith("% a further one\n")
  lines = (folder / "videos" / "clips.csv").read_text().splitlines()
  assert lines[0] == "clip,subject,label" and len(lines) == 9
  for line in lines[1:]:
    for model in ("originals", "static", "cmm_net"):
      file = folder / "videos" / model / f"{line.split(',')[0]}.mp4"
      assert file.stat().st_size > 0
  assert {file.stem for file in folder.glob("*.png")} == {
    *("figure_4", "figure_5", "figure_6_posed", "figure_6_spontaneous"),
    *("figure_7_posed", "figure_7_spontaneous", "figure_8"),
  }
  for file in folder.glob("*.png"):
    with Image.open(file) as image:
      assert min(image.size) > 100


def test_openface_replaces_the_regressor_but_not_for_label_accuracy(
  finished, evaluated, folder, tmp_path, monkeypatch
):
  tables = tmp_path / "openface"
  for video in (folder / "videos").glob("*/*.mp4"):
    table = tables / video.parent.name / f"{video.stem}.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{t + 1}, 0.9, 1, 1.5, {t / 10}" for t in range(32)]
    head = "frame, confidence, success, AU06_r, AU12_r"
    table.write_text("\n".join([head, *lines]))
  monkeypatch.setattr(results, "folder_of", lambda workdir: folder)
  names = ("au12_error", "au06_distance", "label_accuracy")
  some = {name: registry.METRICS[name] for name in names}
  assert all(DYNAMICS in metric.tables for metric in some.values())
  monkeypatch.setattr(registry, "METRICS", some)

  found = results.evaluate(finished.workdir, openface_tables=str(tables))

  assert found.action_units_source == "OpenFace"
  for label, clips in found.samples.by_label().items():
    row, before = (r.table["cmm_net"][label] for r in (found, evaluated))
    true = np.stack([found.samples.clips[i]["action_units"] for i in clips])
    wanted = np.abs(true[..., 1] - np.arange(32) / 10).mean()
    assert row["au12_error"].value == pytest.approx(wanted, rel=1e-5)
    assert row["au06_distance"].value == pytest.approx(0, abs=1e-5)
    assert row["label_accuracy"] == before["label_accuracy"]


def test_a_run_without_cmm_net_or_data_is_refused(finished, tmp_path):
  config = pathlib.Path(finished.workdir) / "config.json"
  (tmp_path / "config.json").write_text(config.read_text())

  with pytest.raises(FileNotFoundError, match="checkpoints"):
    samples.generate(str(tmp_path))

"""Evaluates a run, and writes the results to its folder."""

import csv
import dataclasses
import functools
import io
import json
import pathlib

import numpy as np
from jaxtyping import Float

from cmm_jax import atomic, run_config
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation import (
  batches,
  figures,
  measure,
  openface,
  paper_tables,
  samples,
  videos,
)
from cmm_jax.evaluation.extractors import Extractors
from cmm_jax.evaluation.metrics import label_accuracy, registry
from cmm_jax.evaluation.metrics.confidence import Table
from cmm_jax.evaluation.samples import ORIGINALS, TestSamples

_MIN_PARALLEL_VIDEOS = 32
_MAX_LABEL_CLASSIFIER_CLIPS = 240


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
  """The evaluation of a run.

  Attributes:
    samples: the test clips and the smiles.
    table: every metric of every model.
    per_clip: the metrics that have a value for each clip.
    curves: the compared models' mean action unit curves, smoothed.
    mode_curves: CMM-Net's mean action unit curves and the originals'.
    regressor_errors: of the run's regressors, on the originals.
    train_action_units: label -> of all training clips.
    classifier: the image classifier behind IS and FID.
    action_units_source: what measured the action units of videos.
    label_chance: the label accuracy of always predicting one label.
  """

  samples: TestSamples
  table: Table
  per_clip: measure.PerClip
  curves: measure.Curves
  mode_curves: measure.Curves
  regressor_errors: dict[str, float]
  train_action_units: dict[str, Float[np.ndarray, "n t 2"]]
  classifier: str
  action_units_source: str
  label_chance: float


def evaluate(
  workdir: str,
  *,
  inception_v3: str | None = None,
  openface_tables: str | None = None,
) -> Results:
  """Evaluates every model that has been trained in a run.

  Args:
    workdir: of the run.
    inception_v3: a file of torchvision's InceptionV3 weights, for IS and FID;
      by default, EfficientNet-Lite0 is used.
    openface_tables: a folder of OpenFace's tables of the videos that `write`
      wrote; by default, the run's regressor measures their action units.

  Raises:
    FileNotFoundError: the run, its data or one of the tables is missing.
    ModuleNotFoundError: a package is missing.
    ValueError: a file cannot be used.
  """
  extractors = Extractors(workdir, inception_v3)
  classifier = extractors.classifier.name  # fails before the long part
  test = samples.generate(workdir)
  config, _ = run_config.read_config(workdir)
  train = Clips(config.data.data_dir, config.data.name, "train")
  number = min(len(train), _MAX_LABEL_CLASSIFIER_CLIPS)
  evenly = np.linspace(0, len(train) - 1, number).astype(int).tolist()
  by_openface = None
  if openface_tables:
    by_openface = functools.partial(
      _by_openface, workdir, openface_tables, test
    )
  measurements = measure.read(
    test, extractors, [train[i] for i in evenly], by_openface
  )
  by_label, originals = test.by_label(), measurements[ORIGINALS]
  metrics = list(registry.METRICS.values())
  per_clip = measure.per_clip(measurements, metrics)
  return Results(
    samples=test,
    table=measure.table(measurements, by_label, metrics, per_clip),
    per_clip=per_clip,
    curves=measure.curves(measurements, by_label),
    mode_curves=measure.mode_curves(measurements, by_label),
    regressor_errors=measure.regressor_errors(originals),
    train_action_units=_action_units_by_label(train),
    classifier=classifier,
    action_units_source="OpenFace" if by_openface else "the run's regressor",
    label_chance=label_accuracy.chance(originals.labels),
  )


def _by_openface(workdir, tables, test, model):
  return openface.read(
    pathlib.Path(tables) / model,
    folder_of(workdir) / "videos" / model,
    [clip["clip"] for clip in test.clips],
  )


def _action_units_by_label(clips):
  """Label -> action units [n t 2] of its clips."""
  units = np.stack([clips[i]["action_units"] for i in range(len(clips))])
  labels = np.array([clips[i]["label"] for i in range(len(clips))])
  return {
    name: units[labels == number]
    for number, name in enumerate(clips.labels)
    if (labels == number).any()
  }


def folder_of(workdir: str) -> pathlib.Path:
  """The folder that `write` writes to."""
  return pathlib.Path(workdir) / "evaluation"


def write(
  workdir: str, results: Results, *, markdown: str = "", latex: str = ""
) -> pathlib.Path:
  """Writes tables, numbers, figures and videos; returns the folder.

  Args:
    workdir: of the run.
    results: of its evaluation.
    markdown: a further table, for tables.md.
    latex: a further table, for tables.tex.
  """
  folder = folder_of(workdir)
  folder.mkdir(parents=True, exist_ok=True)
  numbers = {
    model: {
      label: {name: dataclasses.asdict(e) for name, e in estimates.items()}
      for label, estimates in labels.items()
    }
    for model, labels in results.table.items()
  }
  names = ("classifier", "action_units_source", "label_chance")
  details = {name: getattr(results, name) for name in names}
  document = paper_tables.markdown(
    results.table, results.regressor_errors, **details
  )
  for name in ("regressor_errors", "curves", "mode_curves"):
    details[name] = getattr(results, name)
  texts = {
    "metrics.json": json.dumps(numbers, indent=2),
    "details.json": json.dumps(details, indent=2),
    "per_clip.csv": _per_clip_csv(results),
    "tables.md": document + markdown,
    "tables.tex": paper_tables.latex(
      results.table, classifier=results.classifier
    )
    + latex,
  }
  for name, text in texts.items():
    atomic.write_atomically(folder / name, text)
  for name, image in _figures(results).items():
    atomic.write_atomically(folder / f"{name}.png", image)
  _write_videos(folder / "videos", results.samples)
  return folder


def _per_clip_csv(results):
  """A row for each model and clip, a column for each metric."""
  file = io.StringIO()
  columns = [n for n, metric in registry.METRICS.items() if metric.per_clip]
  writer = csv.writer(file, lineterminator="\n")
  writer.writerow(["model", "clip", "subject", "label", *columns])
  test = results.samples
  for model, values in results.per_clip.items():
    for i, clip in enumerate(test.clips):
      numbers = [values[n][i] if n in values else np.nan for n in columns]
      writer.writerow(
        [
          *(model, clip["clip"], clip["subject"]),
          test.label_names[clip["label"]],
          *("" if np.isnan(number) else float(number) for number in numbers),
        ]
      )
  return file.getvalue()


def _figures(results):
  """The paper's figures 4 to 8 and one of ours, by name."""
  test = results.samples
  images = {
    "figure_4": figures.action_unit_dynamics(results.train_action_units),
    "figure_8": figures.action_unit_curves(results.curves),
  }
  rows = []
  for label, smiles in samples.every_label(test, 0).items():
    first, *others = figures.smile_rows(smiles, 0, slice(0, 1))
    rows += [(label, first[1]), *others]
  images["figure_5"] = figures.sheet(rows)
  titles = paper_tables.model_titles()
  for label, (clip, *_) in test.by_label().items():
    original = ("original", test.clips[clip]["frames"])
    images[f"figure_6_{label}"] = figures.sheet(
      [original, *figures.smile_rows(test.smiles["cmm_net"], clip)]
    )
    images[f"figure_7_{label}"] = figures.sheet(
      [
        (title, test.videos(model)[clip])
        for model, title in titles.items()
        if model in test.compared_models
      ]
    )
  variants = paper_tables.variant_titles()
  if len(variants.keys() & test.smiles.keys()) > 1:

    def values(model, label, metric):
      row = results.table.get(model, {}).get(label, {})
      return [row[metric].value] if metric in row else []

    images["diversity_against_fidelity"] = figures.diversity_against_fidelity(
      values, variants, list(results.table[ORIGINALS])
    )
  return images


def _write_videos(folder, test):
  """Every compared model's video of every clip, and a table of the clips."""
  lines = ["clip,subject,label"]
  for clip in test.clips:
    label = test.label_names[clip["label"]]
    lines.append(f"{clip['clip']},{clip['subject']},{label}")
  for model in test.compared_models:
    batches.call_in_processes(
      videos.write,
      [folder / model / f"{clip['clip']}.mp4" for clip in test.clips],
      test.videos(model),
      [model != ORIGINALS] * len(test.clips),
      min_calls=_MIN_PARALLEL_VIDEOS,
    )
  atomic.write_atomically(folder / "clips.csv", "\n".join(lines) + "\n")

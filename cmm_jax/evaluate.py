"""Measures a trained run on people that it has never seen.

python -m cmm_jax.evaluate --workdir=runs/quick

Prints the paper's tables for whatever has been trained there and writes, to
`<workdir>/evaluation/`:

  tables.md, tables.tex   the tables; table 2 where a study has been answered
  metrics.json            model -> label -> metric -> mean, low, high, clips
  details.json            curves, the instruments' errors, what has measured
  *.png                   figures 4 to 8, and diversity against fidelity
  videos/                 of every model (for OpenFace, and for the user study)

Action units are read by a network of the run. To have OpenFace read them, as
the paper does, run its FeatureExtraction over the videos, put the tables of
videos/<model>/<clip>.mp4 at FOLDER/<model>/<clip>.csv, and give
--openface=FOLDER.
"""

import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import app, flags
from etils import epath

from cmm_jax import checkpoints, runtime, video
from cmm_jax.data import pipeline
from cmm_jax.evaluation import diversity, figures, quality, samples, tables
from cmm_jax.evaluation.metrics import (
  classifiers,
  label_accuracy,
  landmarks,
  regressors,
)
from cmm_jax.evaluation.samples import TestSamples
from cmm_jax.generate import FRAMES_PER_SECOND, WORKDIR, Generator
from cmm_jax.preprocess import action_units, decode
from cmm_jax.user_study import store, tally

_INCEPTION = flags.DEFINE_string(
  "inception_v3",
  None,
  "torchvision's inception_v3 state dict, for IS and FID; without it, "
  "EfficientNet-Lite0 sees the pictures.",
)
_OPENFACE = flags.DEFINE_string(
  "openface",
  None,
  "A folder of OpenFace's tables of the videos that this command has written; "
  "without it, the run's own network reads the action units.",
)

_ENLARGED = 4  # so that OpenFace and people see something of 64 pixels
_MOST_TAUGHT = 240  # training clips that the judge of labels learns from


def compared_models(models: Sequence[str]) -> list[str]:
  """Those that stand side by side in the paper's tables: no other forms of the
  modes' losses, whose conditional sequence is nearly the same."""
  return [m for m in models if not m.startswith("cmm_net_")]


def read(
  workdir: str,
  held: TestSamples,
  reader: regressors.Reader,
  openface: str | None = None,
) -> quality.Readings:
  """Reads points and action units from every compared model's videos.

  OpenFace, where it is asked for, reads the units of the tables; the judge of
  labels goes by the run's reader all the same, which reads training clips too.

  Args:
    workdir: of the run.
    held: the clips and the models' smiles.
    reader: the run's.
    openface: a folder of OpenFace's tables, or None.

  Raises:
    FileNotFoundError, ValueError: a table is missing or cannot be used.
  """
  see = landmarks.FacePoints()
  every = quality.POINTS_EVERY

  def own(frames, clips):
    """Units of every frame, points of some, and how these have moved."""
    units = reader.action_units(
      frames, np.stack([clip["frames"][0] for clip in clips])
    )
    points = np.stack(
      [
        see(one[::every], clip["landmarks"][0])
        for one, clip in zip(frames, clips, strict=True)
      ]
    )
    moved = label_accuracy.movement_curves(points, units[:, ::every])
    return units, points, moved

  units, points, moved = {}, {}, {}
  for model in compared_models(list(held.videos)):
    units[model], points[model], moved[model] = own(
      held.videos[model], held.clips
    )
    if openface:
      units[model] = _by_openface(workdir, openface, model, held)
  taught = _training_clips(workdir)
  _, _, curves = own(np.stack([clip["frames"] for clip in taught]), taught)
  labels = np.array([clip["label"] for clip in taught])
  return quality.Readings(
    units,
    points,
    moved,
    label_accuracy.Labelled(curves, labels),
    "OpenFace" if openface else "the run's own reader",
  )


def _by_openface(workdir, folder, model, held):
  """AU06 and AU12 of a model's videos by OpenFace's tables."""
  units = []
  for clip in held.clips:
    film = _folder(workdir) / "videos" / model / f"{clip['clip']}.mp4"
    if not film.is_file():
      raise FileNotFoundError(
        f"No video {str(film)!r} for its table: run this command once without "
        "--openface, and OpenFace over the videos that it writes."
      )
    table = epath.Path(folder) / model / f"{clip['clip']}.csv"
    found = action_units.OpenFaceTable(table).read(decode.open_video(film))
    interval = 1 / FRAMES_PER_SECOND
    units.append(action_units.bridge(found, interval, source=str(film)))
  return np.stack(units)


def _training_clips(workdir):
  """Up to `_MOST_TAUGHT` of them, evenly spaced, so that all labels are met."""
  config, _ = checkpoints.read_config(workdir)
  source = pipeline.Clips(config.data.data_dir, config.data.name, "train")
  number = min(len(source), _MOST_TAUGHT)
  at = np.linspace(0, len(source) - 1, number).astype(int)
  return [source[int(i)] for i in at]


def merged(*every: dict) -> dict:
  """Tables as one: model -> label -> metric."""
  table: dict = {}
  for one in every:
    for model, labels in one.items():
      for label, row in labels.items():
        table.setdefault(model, {}).setdefault(label, {}).update(row)
  return table


def _folder(workdir):
  return pathlib.Path(workdir) / "evaluation"


def write(
  workdir: str,
  held: TestSamples,
  found: diversity.Variety,
  compared: quality.Comparison,
) -> pathlib.Path:
  """Writes everything; gives the folder."""
  folder = _folder(workdir)
  folder.mkdir(parents=True, exist_ok=True)
  table = merged(found.table, compared.table)
  numbers = {
    model: {
      label: {m: dataclasses.asdict(value) for m, value in row.items()}
      for label, row in labels.items()
    }
    for model, labels in table.items()
  }
  details = {
    "network": compared.network,
    "action_units_by": compared.units_from,
    "chance_of_label": compared.chance,
    "instruments": found.instruments,
    "curves": compared.curves,
    "curves_of_modes": found.curves,
  }
  for name, content in (("metrics", numbers), ("details", details)):
    checkpoints.write_atomically(
      folder / f"{name}.json", json.dumps(content, indent=2)
    )
  text, study = tables.markdown(table, compared, found.instruments), ""
  counts = user_study(workdir)
  if counts:
    text += "\n" + tally.to_markdown(counts).replace(
      "# User", "## Table 2: user"
    )
    study = "\n" + tally.to_latex(counts)
  checkpoints.write_atomically(folder / "tables.md", text)
  checkpoints.write_atomically(
    folder / "tables.tex", tables.latex(table, compared) + study
  )
  for name, picture in _figures(workdir, held, table, compared).items():
    (folder / f"{name}.png").write_bytes(picture)
  _write_videos(folder / "videos", held)
  return folder


def user_study(workdir: str | os.PathLike) -> dict[str, Any] | None:
  """The answers of the run's study, if it has one that somebody finished."""
  try:
    return tally.count(store.Store(pathlib.Path(workdir) / "study"))
  except FileNotFoundError:  # no study
    return None
  except ValueError as error:
    print(f"Without table 2: {error}", file=sys.stderr)
    return None


def _figures(workdir, held, table, compared):
  """The paper's figures 4 to 8 and one of ours, by name."""
  config, labels = checkpoints.read_config(workdir)
  source = pipeline.Clips(config.data.data_dir, config.data.name, "train")
  units = [source[i]["action_units"] for i in range(len(source))]
  numbers = np.array([source[i]["label"] for i in range(len(source))])
  dynamics = {
    label: np.stack(units)[numbers == number]
    for number, label in enumerate(labels)
    if (numbers == number).any()
  }
  pictures = {
    "figure_4": figures.action_unit_dynamics(dynamics),
    "figure_8": figures.action_unit_curves(compared.curves),
  }
  generator, rows = Generator(workdir), []
  clip = held.clips[0]
  for label in labels:  # one face, smiling in each way
    smiles = generator(
      clip["frames"][:1], clip["landmarks"][:1].astype(np.float32), [label]
    )
    (_, shown), drawn = figures.smile_rows(smiles, 0, only=slice(0, 1))
    rows += [(label, shown), drawn]
  pictures["figure_5"] = figures.sheet(rows)
  for label, (first, *_) in held.of_labels().items():
    clip = held.clips[first]
    pictures[f"figure_6_{label}"] = figures.sheet(
      [
        ("original", clip["frames"]),
        *figures.smile_rows(held.smiles["cmm_net"], first),
      ]
    )
    pictures[f"figure_7_{label}"] = figures.sheet(
      [
        (tables.NAMES[m], held.videos[m][first])
        for m in tables.NAMES
        if m in compared_models(list(held.videos))
      ]
    )
  weights = tables.push_weights(table)
  if len(weights) > 1 and config.model.num_modes > 1:
    pictures["diversity_against_fidelity"] = figures.diversity_against_fidelity(
      table, weights
    )
  return pictures


def _write_videos(folder, held):
  """Every compared model's video of every clip, and what the clips are."""
  lines = ["clip,subject,label"]
  videos = held.videos
  for index, clip in enumerate(held.clips):
    name, label = clip["clip"], held.labels[clip["label"]]
    lines.append(f"{name},{clip['subject']},{label}")
    for model in compared_models(list(videos)):
      video.write_mp4(
        folder / model / f"{name}.mp4",
        video.upscale(videos[model][index], _ENLARGED),
        FRAMES_PER_SECOND,
      )
  checkpoints.write_atomically(folder / "clips.csv", "\n".join(lines) + "\n")


def main(argv: Sequence[str]) -> None:
  """Measures, prints and writes."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  workdir = WORKDIR.value
  try:
    classifier = (
      classifiers.inception_v3_from(_INCEPTION.value)
      if _INCEPTION.value
      else classifiers.efficientnet_lite0()
    )
    held = samples.make(workdir)
    reader = regressors.Reader(workdir)
    readings = read(workdir, held, reader, _OPENFACE.value)
    found = diversity.measure(held, reader)
    compared = quality.compare(held, readings, classifier)
    folder = write(workdir, held, found, compared)
  except (OSError, ValueError, ImportError) as error:
    sys.exit(f"error: {error}")
  print((folder / "tables.md").read_text())
  print(f"written to {folder}")


if __name__ == "__main__":
  flags.mark_flag_as_required("workdir")
  app.run(main)

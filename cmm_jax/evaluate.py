"""Measures a trained run on people that it has never seen.

python -m cmm_jax.evaluate --workdir=runs/quick

Prints the paper's tables for whatever has been trained there and writes, to
`<workdir>/evaluation/`, `tables.md`, `tables.tex`, `metrics.json`, the figures,
and the videos of every model (for OpenFace, and for the user study).
"""

import collections
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags
from jaxtyping import UInt8

from cmm_jax import (
  backend,
  checkpoints,
  comparison,
  data,
  figures,
  landmarks,
  phases,
  tables,
  video,
)
from cmm_jax.generate import FRAMES_PER_SECOND, WORKDIR, Generator, Smiles
from cmm_jax.metrics import classifiers, diversity, reading, similarity

_INCEPTION = flags.DEFINE_string(
  "inception_v3",
  None,
  "torchvision's inception_v3 state dict, for IS and FID; without it, "
  "EfficientNet-Lite0 sees the pictures.",
)

START, SMILE = slice(0, 4), slice(-8, None)  # frames: the neutral, the smile
_AT_ONCE = 8  # clips generated in one call
_ENLARGED = 4  # so that OpenFace and people see something of 64 pixels


@dataclasses.dataclass(frozen=True)
class Measured:
  """What was measured, and the pictures it was measured on.

  Attributes:
    table: label -> quantity -> number.
    curves: label -> model -> mean over clips [t, 2] of AU06 and AU12.
    readers: the instruments' errors on true pictures.
    clips: the held-out clips, in the order of `smiles`.
    smiles: generated from their first frames, by form of the modes.
    labels: the names of all labels.
  """

  table: dict[str, dict[str, float]]
  curves: dict[str, dict[str, list[list[float]]]]
  readers: dict[str, float]
  clips: list[dict[str, Any]]
  smiles: dict[str, Smiles]
  labels: list[str]


def measure(workdir: str, split: str = "test") -> Measured:
  """Generates from each held-out clip's first frame and measures the result.

  Raises:
    FileNotFoundError: the run or its data is missing.
  """
  config, labels = checkpoints.read_config(workdir)
  source = data.Clips(config.data.data_dir, config.data.name, split)
  clips = [source[i] for i in range(len(source))]
  forms = {"modes": "cmm_net"}
  if config.compare_as_printed:
    forms["modes_as_printed"] = "cmm_net_as_printed"
  smiles = {
    form: _generate_all(Generator(workdir, model), clips)
    for form, model in forms.items()
  }
  reader = reading.Reader(workdir)

  draw = jax.jit(landmarks.draw, static_argnums=1)
  size = config.data.image_size
  truth = np.stack(
    [np.rint(255 * np.asarray(draw(c["landmarks"], size))) for c in clips]
  ).astype(np.uint8)
  true_points = reader.points(truth)
  frames = np.stack([c["frames"] for c in clips])
  units = reader.action_units(frames, frames[:, 0])
  read = {name: reader.points(s.drawings) for name, s in smiles.items()}
  main = smiles["modes"]
  generated_units = reader.action_units(
    main.frames,
    np.repeat(frames[:, :1], main.frames.shape[1], axis=1),
  )

  table, curves = {}, {}
  for number, label in enumerate(labels):
    chosen = [i for i, c in enumerate(clips) if c["label"] == number]
    if not chosen:
      continue
    table[label] = {
      "clips": len(chosen),
      **_fidelity(main, frames, chosen),
      **_movement(read["modes"], true_points, chosen),
      **_diversity(read, true_points, clips, chosen),
    }
    curves[label] = {
      "true": np.mean(
        [clips[i]["action_units"] for i in chosen], axis=0
      ).tolist(),
      "true, as read": units[chosen].mean(axis=0).tolist(),
      "conditional": generated_units[chosen, 0].mean(axis=0).tolist(),
      "modes": generated_units[chosen, 1:].mean(axis=(0, 1)).tolist(),
    }
    for name in ("true", "conditional", "modes"):
      onset = half_rise(np.array(curves[label][name])[:, 1])
      table[label][f"au12_half_rise_frame/{name}"] = onset

  exact_points = np.stack([c["landmarks"] for c in clips])
  exact_units = np.stack([c["action_units"] for c in clips])
  gaps = np.linalg.norm(true_points - exact_points, axis=-1)
  inside = ((exact_points > 0) & (exact_points < size - 1)).all(axis=-1)
  errors = {"points_px": float(gaps[inside].mean())}
  for i, name in enumerate(("AU06", "AU12")):
    found, exact = units[..., i].ravel(), exact_units[..., i].ravel()
    errors[f"{name}_mae"] = float(np.abs(found - exact).mean())
    errors[f"{name}_correlation"] = float(np.corrcoef(found, exact)[0, 1])
  return Measured(table, curves, errors, clips, smiles, labels)


def half_rise(curve: np.ndarray) -> float:
  """The frame, to fractions, at which a curve is first half way to its end."""
  start, end = curve[0], curve[SMILE].mean()
  share = (curve - start) / (end - start) if end != start else curve * 0
  above = np.flatnonzero(share >= 0.5)
  if len(above) == 0 or above[0] == 0:
    return float("nan")
  after = above[0]
  before = share[after - 1]
  return float(after - 1 + (0.5 - before) / (share[after] - before))


def _generate_all(generator, clips):
  """`Smiles` of all clips, each from its first frame."""
  parts = []
  for start in range(0, len(clips), _AT_ONCE):
    part = clips[start : start + _AT_ONCE]
    filled = part + [part[-1]] * (_AT_ONCE - len(part))
    made = generator(
      np.stack([c["frames"][0] for c in filled]),
      np.stack([c["landmarks"][0] for c in filled]),
      [generator.labels[c["label"]] for c in filled],
    )
    drawn = made.drawings
    parts.append(
      (None if drawn is None else drawn[: len(part)], made.frames[: len(part)])
    )
  drawings, frames = zip(*parts, strict=True)
  return Smiles(
    None if drawings[0] is None else np.concatenate(drawings),
    np.concatenate(frames),
  )


def _fidelity(smiles, frames, chosen):
  """SSIM over the smile's frames, beside the neutral frame repeated."""
  found = collections.defaultdict(list)
  for i in chosen:
    true = frames[i, SMILE]
    still = np.repeat(frames[i, :1], len(true), axis=0)
    found["ssim_smile/neutral repeated"].append(similarity.ssim(still, true))
    every = [similarity.ssim(s[SMILE], true) for s in smiles.frames[i]]
    found["ssim_smile/conditional"].append(every[0])
    found["ssim_smile/nearest mode"].append(max(every[1:]))
  return {name: float(np.mean(values)) for name, values in found.items()}


def _movement(read, true_points, chosen):
  """How far the corners of the mouth move, in pixels."""
  corners = list(landmarks.MOUTH_CORNERS)
  found = collections.defaultdict(list)
  for i in chosen:
    start = true_points[i, 0, corners]
    for name, sequences in (
      ("true", true_points[i][None]),
      ("conditional", read[i, :1]),
      ("modes", read[i, 1:]),
    ):
      for sequence in sequences:
        moved = diversity.movement(sequence[SMILE][:, corners], start)
        found[f"mouth_corners_px/{name}"].append(moved)
  return {name: float(np.mean(values)) for name, values in found.items()}


_REGIONS = {
  "all": list(range(landmarks.NUM_POINTS)),
  "mouth": list(landmarks.MOUTH),
  "eyes": list(landmarks.EYES),
}
_TIMES = {"start": START, "smile": SMILE}


def _diversity(read, true_points, clips, chosen):
  """APD of the modes beside that of one person's true clips, in pixels."""
  people = collections.defaultdict(list)
  for i in chosen:
    people[clips[i]["subject"]].append(i)
  groups = {"true": [true_points[i] for i in people.values() if len(i) > 1]}
  for form, points in read.items():
    groups[form] = [points[i, 1:] for i in chosen]
  table = {}
  for name, sequences in groups.items():
    for when, times in _TIMES.items():
      for where, region in _REGIONS.items():
        distances = [
          diversity.average_pairwise_distance(s[:, times][:, :, region])
          for s in sequences
        ]
        mean = float(np.mean(distances)) if distances else float("nan")
        table[f"apd_{when}_px/{name}/{where}"] = mean
  return table


def videos_of_models(
  workdir: str, measured: Measured
) -> dict[str, UInt8[np.ndarray, "n t h w 3"]]:
  """The held-out clips, and every trained model's video of each.

  A model that has not been trained in this run is left out. Of CMM-Net it is
  the conditional sequence, the one that the paper compares.
  """
  frames = np.stack([clip["frames"] for clip in measured.clips])
  still = np.repeat(frames[:, :1], frames.shape[1], axis=1)
  videos = {comparison.ORIGINALS: frames, comparison.STILL: still}
  for model in phases.MODELS:
    if model == "cmm_net":
      videos[model] = measured.smiles["modes"].frames[:, 0]
    elif model != "cmm_net_as_printed":  # its first sequence is the same
      try:
        generator = Generator(workdir, model)
      except FileNotFoundError:
        continue
      videos[model] = _generate_all(generator, measured.clips).frames[:, 0]
  return videos


def compare(
  workdir: str,
  measured: Measured,
  videos: dict[str, UInt8[np.ndarray, "n t h w 3"]],
  inception_v3: str | None = None,
) -> comparison.Comparison:
  """The models side by side.

  Args:
    workdir: of the run, whose readers read the action units.
    measured: what `measure` gave.
    videos: what `videos_of_models` gave.
    inception_v3: a file of weights; None for EfficientNet-Lite0.

  Raises:
    FileNotFoundError, ModuleNotFoundError: a network's weights are missing.
  """
  classifier = (
    classifiers.inception_v3_from(inception_v3)
    if inception_v3
    else classifiers.efficientnet_lite0()
  )
  reader = reading.Reader(workdir)
  neutral = videos[comparison.ORIGINALS][:, 0]
  units = {m: reader.action_units(v, neutral) for m, v in videos.items()}
  _, labels = checkpoints.read_config(workdir)
  return comparison.compare(videos, units, measured.clips, labels, classifier)


def write(
  workdir: str,
  measured: Measured,
  videos: dict[str, UInt8[np.ndarray, "n t h w 3"]],
  compared: comparison.Comparison,
) -> pathlib.Path:
  """Writes everything; gives the folder."""
  folder = pathlib.Path(workdir) / "evaluation"
  folder.mkdir(parents=True, exist_ok=True)
  numbers = {
    "models": compared.table,
    "network": compared.network,
    "curves": compared.curves,
    "modes": measured.table,
    "readers": measured.readers,
  }
  checkpoints.write_atomically(
    folder / "metrics.json", json.dumps(numbers, indent=2)
  )
  checkpoints.write_atomically(folder / "tables.md", tables.markdown(compared))
  checkpoints.write_atomically(folder / "tables.tex", tables.latex(compared))
  (folder / "figure_8.png").write_bytes(
    figures.action_unit_curves(compared.curves)
  )
  _write_sheets(folder, measured, videos)
  _write_videos(folder / "videos", measured, videos)
  return folder


def _write_sheets(folder, measured, videos):
  """Of each label's first clip, the models (figure 7) and the modes (6)."""
  seen = set()
  for index, clip in enumerate(measured.clips):
    label = measured.labels[clip["label"]]
    if label in seen:
      continue
    seen.add(label)
    rows = [(tables.NAMES[m], every[index]) for m, every in videos.items()]
    (folder / f"figure_7_{label}.png").write_bytes(figures.sheet(rows))
    rows = [
      ("original", clip["frames"]),
      *figures.smile_rows(measured.smiles["modes"], index),
    ]
    (folder / f"figure_6_{label}.png").write_bytes(figures.sheet(rows))


def _write_videos(folder, measured, videos):
  """Every model's video of every clip, and what the clips are."""
  lines = ["clip,subject,label"]
  for index, clip in enumerate(measured.clips):
    name, label = clip["clip"], measured.labels[clip["label"]]
    lines.append(f"{name},{clip['subject']},{label}")
    for model, every in videos.items():
      video.write_mp4(
        folder / model / f"{name}.mp4",
        video.upscale(every[index], _ENLARGED),
        FRAMES_PER_SECOND,
      )
  checkpoints.write_atomically(folder / "clips.csv", "\n".join(lines) + "\n")


def main(argv: Sequence[str]) -> None:
  """Measures, prints and writes."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  backend.prepare()
  workdir = WORKDIR.value
  try:
    measured = measure(workdir)
    videos = videos_of_models(workdir, measured)
    compared = compare(workdir, measured, videos, _INCEPTION.value)
    folder = write(workdir, measured, videos, compared)
  except (OSError, ValueError, ImportError) as error:
    sys.exit(f"error: {error}")
  print(tables.markdown(compared))
  names = list(next(iter(measured.table.values())))
  width = max(map(len, names))
  print(" " * width, *(f"{label:>12}" for label in measured.table))
  for name in names:
    values = [row[name] for row in measured.table.values()]
    print(f"{name:{width}}", *(f"{value:12.3f}" for value in values))
  print("instruments:", measured.readers)
  print(f"written to {folder}")


if __name__ == "__main__":
  flags.mark_flag_as_required("workdir")
  app.run(main)

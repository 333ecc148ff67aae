"""Measures a trained run on people that it has never seen.

python -m cmm_jax.evaluate --workdir=runs/quick

Prints a table and writes `<workdir>/evaluation/metrics.json`.
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

from cmm_jax import backend, checkpoints, data, landmarks
from cmm_jax.generate import WORKDIR, Generator, Smiles
from cmm_jax.metrics import diversity, reading, similarity

START, SMILE = slice(0, 4), slice(-8, None)  # frames: the neutral, the smile
_AT_ONCE = 8  # clips generated in one call


@dataclasses.dataclass(frozen=True)
class Measured:
  """What was measured, and the pictures it was measured on.

  Attributes:
    table: label -> quantity -> number.
    curves: label -> model -> mean over clips [t, 2] of AU06 and AU12.
    readers: the instruments' errors on true pictures.
    clips: the held-out clips, in the order of `smiles`.
    smiles: generated from their first frames, by form of the modes.
  """

  table: dict[str, dict[str, float]]
  curves: dict[str, dict[str, list[list[float]]]]
  readers: dict[str, float]
  clips: list[dict[str, Any]]
  smiles: dict[str, Smiles]


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
  return Measured(table, curves, errors, clips, smiles)


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
    parts.append((made.drawings[: len(part)], made.frames[: len(part)]))
  return Smiles(*(np.concatenate(p) for p in zip(*parts, strict=True)))


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


def write(workdir: str, measured: Measured) -> pathlib.Path:
  """Writes the numbers as JSON; gives the file."""
  file = pathlib.Path(workdir) / "evaluation" / "metrics.json"
  file.parent.mkdir(parents=True, exist_ok=True)
  numbers = {
    "table": measured.table,
    "curves": measured.curves,
    "readers": measured.readers,
  }
  checkpoints.write_atomically(file, json.dumps(numbers, indent=2))
  return file


def main(argv: Sequence[str]) -> None:
  """Measures and prints."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  backend.prepare()
  try:
    measured = measure(WORKDIR.value)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  names = list(next(iter(measured.table.values())))
  width = max(map(len, names))
  print(" " * width, *(f"{label:>12}" for label in measured.table))
  for name in names:
    values = [row[name] for row in measured.table.values()]
    print(f"{name:{width}}", *(f"{value:12.3f}" for value in values))
  print("instruments:", measured.readers)
  print(f"written to {write(WORKDIR.value, measured)}")


if __name__ == "__main__":
  flags.mark_flag_as_required("workdir")
  app.run(main)

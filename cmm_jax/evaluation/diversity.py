"""How the smiles of one face differ, and whether each is one.

Of CMM-Net's K modes beside the conditional sequence, in whichever form their
losses were trained, and of true clips of one person under one label. Points are
read from landmark images by the run's own reader, the true clips' too.
"""

import collections
import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics import (
  action_units,
  confidence,
  diversity,
  lpips,
  regressors,
  ssim,
)
from cmm_jax.evaluation.samples import ORIGINALS, SMILE, STILL, TestSamples

START = slice(0, 4)  # frames in which the face is neutral

_REGIONS = {
  "": list(range(landmarks.NUM_POINTS)),
  "_mouth": list(landmarks.MOUTH),
  "_eyes": list(landmarks.EYES),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Variety:
  """What was found.

  Attributes:
    table: `apd_*` are in pixels.
    curves: label -> sequence -> mean over clips [t, 2] of AU06 and AU12.
    instruments: how far the readers are off on true pictures.
  """

  table: confidence.Table
  curves: dict[str, dict[str, list[list[float]]]]
  instruments: dict[str, float]


def measure(held_out: TestSamples, reader: regressors.Reader) -> Variety:
  """Measures every form of CMM-Net among the models, and the true clips."""
  clips, frames = held_out.clips, held_out.frames
  true_points = reader.points(_drawn(clips))
  true_units = reader.action_units(frames, frames[:, 0])
  forms = {m: s for m, s in held_out.smiles.items() if s.drawings is not None}
  lpips_distance = lpips.Lpips()

  values: dict[str, dict[str, Any]] = {
    ORIGINALS: _true_clips(held_out, true_points, lpips_distance),
    STILL: {"ssim_smile": [_ssim(c["frames"][:1], c["frames"]) for c in clips]},
  }
  units = {ORIGINALS: true_units[:, None]}
  for model, smiles in forms.items():
    points = reader.points(smiles.drawings)
    values[model] = _modes(smiles, points, clips, true_points, lpips_distance)
    # Of other forms the conditional sequence's alone are looked at below.
    shown = smiles.frames if model == "cmm_net" else smiles.frames[:, :1]
    units[model] = reader.action_units(
      shown, np.repeat(frames[:, :1], shown.shape[1], axis=1)
    )

  table: confidence.Table = {model: {} for model in values}
  curves: dict = {}
  for label, chosen in held_out.of_labels().items():
    for model, found in values.items():
      row = confidence.means(
        {m: np.asarray(v)[chosen] for m, v in found.items()},
        f"{model}, {label}",
      )
      if model in units:
        row |= _onset(units[model][chosen, 0, :, 1])
      table[model][label] = row
    curves[label] = {
      "true": np.mean([clips[i]["action_units"] for i in chosen], axis=0),
      "true, as read": true_units[chosen].mean(axis=0),
      "conditional": units["cmm_net"][chosen, 0].mean(axis=0),
      "modes": units["cmm_net"][chosen, 1:].mean(axis=(0, 1)),
    }
    curves[label] = {n: c.tolist() for n, c in curves[label].items()}
  return Variety(table, curves, _instruments(clips, true_points, true_units))


def half_rise(curve: Float[np.ndarray, " t"]) -> float:
  """The frame, to fractions, at which a curve is first half way to its end."""
  start, end = curve[0], curve[SMILE].mean()
  share = (curve - start) / (end - start) if end != start else curve * 0
  above = np.flatnonzero(share >= 0.5)
  if len(above) == 0 or above[0] == 0:
    return float("nan")
  after = above[0]
  before = share[after - 1]
  return float(after - 1 + (0.5 - before) / (share[after] - before))


def _onset(curves):
  """When the mean curve of AU12 is half up."""
  found = confidence.number_of_clips(
    lambda some: half_rise(curves[some].mean(axis=0)), len(curves), 0.0
  )
  return {} if np.isnan(found.mean) else {"au12_half_rise": found}


def _true_clips(held_out, points, lpips_distance):
  """Of true clips; a person's APD belongs to each of his clips' number once."""
  values = collections.defaultdict(lambda: [np.nan] * len(held_out.clips))
  people = collections.defaultdict(list)
  for i, clip in enumerate(held_out.clips):
    people[clip["label"], clip["subject"]].append(i)
    values["mouth_corners_px"][i] = _mouth_moved(points[i], points[i, 0])
  for numbers in people.values():
    if len(numbers) > 1:
      frames = np.stack([held_out.clips[i]["frames"] for i in numbers])
      for metric, value in _apart(
        points[numbers], frames, lpips_distance
      ).items():
        values[metric][numbers[0]] = value
  return values


def _modes(smiles, points, clips, true_points, lpips_distance):
  """Of one form's modes; of its conditional sequence where a name says so."""
  values = collections.defaultdict(list)
  for i, clip in enumerate(clips):
    every = [_ssim(one, clip["frames"]) for one in smiles.frames[i]]
    found = {
      "ssim_smile": every[0],
      "ssim_smile_nearest_mode": max(every[1:]),
      "mouth_corners_px": _mouth_moved(points[i, 0], true_points[i, 0]),
      "mouth_corners_px_modes": np.mean(
        [_mouth_moved(one, true_points[i, 0]) for one in points[i, 1:]]
      ),
      "ade": diversity.average_displacement_error(
        points[i, 1:], true_points[i]
      ),
      "fde": diversity.final_displacement_error(points[i, 1:], true_points[i]),
    }
    if len(points[i]) > 2:  # two modes or more
      found |= _apart(points[i, 1:], smiles.frames[i, 1:], lpips_distance)
    for metric, value in found.items():
      values[metric].append(value)
  return values


def _apart(points, frames, lpips_distance):
  """APD, whole and by part, early and late, and LPIPS diversity, of sequences
  of one face. `moved` counts from each sequence's own first frame: true clips
  differ there in the pose of the head, which modes share."""
  found = {}
  for name, some in (
    ("start", points[:, START]),
    ("smile", points[:, SMILE]),
    ("moved", points[:, SMILE] - points[:, :1]),
  ):
    for part, region in _REGIONS.items():
      found[f"apd_{name}{part}"] = diversity.average_pairwise_distance(
        some[:, :, region]
      )
  for part in ("mouth", "eyes"):
    found[f"apd_share_{part}"] = found[f"apd_moved_{part}"] / max(
      found["apd_moved"], 1e-6
    )
  return found | {"lpips_diversity": lpips_distance.diversity(frames[:, SMILE])}


def _mouth_moved(points, start):
  """How far the corners of the mouth are from where they started."""
  corners = list(landmarks.MOUTH_CORNERS)
  return diversity.movement(points[SMILE][:, corners], start[corners])


def _ssim(made, true):
  """Of the smile's frames; one frame stands for all."""
  true = true[SMILE]
  made = np.repeat(made, len(true), axis=0) if len(made) == 1 else made[SMILE]
  return ssim.ssim(made, true)


def _drawn(clips):
  """The true landmark images."""
  draw = jax.jit(landmarks.draw, static_argnums=1)
  size = clips[0]["frames"].shape[1]
  return np.stack(
    [np.rint(255 * np.asarray(draw(c["landmarks"], size))) for c in clips]
  ).astype(np.uint8)


def _instruments(clips, points, units):
  """The errors of what was read from true pictures."""
  size = clips[0]["frames"].shape[1]
  exact_points = np.stack([c["landmarks"] for c in clips])
  exact_units = np.stack([c["action_units"] for c in clips])
  gaps = np.linalg.norm(points - exact_points, axis=-1)
  inside = ((exact_points > 0) & (exact_points < size - 1)).all(axis=-1)
  errors = {"points_px": float(gaps[inside].mean())}
  for unit, name in enumerate(("AU06", "AU12")):
    found = action_units.agreement(
      units[..., unit].ravel(), exact_units[..., unit].ravel()
    )
    errors |= {
      f"{name}_{quantity}": value
      for quantity, value in dataclasses.asdict(found).items()
    }
  return errors

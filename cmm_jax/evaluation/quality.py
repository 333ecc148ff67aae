"""The models side by side, on the same held-out clips.

What tables 1 and 3 and figure 8 are made of, and what later papers report
beside them: the identity's distance (AED), rank-1, FID and LPIPS; how far
landmarks and action units are from the clip's own; whether the label is obeyed.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.evaluation.metrics import (
  action_units,
  classifiers,
  confidence,
  identity,
  inception,
  label_accuracy,
  lpips,
  ssim,
)
from cmm_jax.evaluation.samples import ORIGINALS, SMILE, TestSamples

# Of each clip so many frames, evenly spaced, are shown to the slow networks: to
# the classifier, and to the face recogniser (which takes 0.13 s for each).
_CLASSIFIED, _RECOGNISED = 8, 3
POINTS_EVERY = 2  # frames of which the points are read, for time


@dataclasses.dataclass(frozen=True, eq=False)
class Readings:
  """What instruments read from each model's videos.

  Attributes:
    units: model -> AU06 and AU12 of every frame.
    points: model -> the 68 points of every `POINTS_EVERY`th frame, in pixels.
    moved: model -> these frames' movement curves, for the judge of labels.
    taught: true training clips' movement curves and labels, read alike, which
      the judge learns from.
    source: what has read `units`.
  """

  units: Mapping[str, Float[np.ndarray, "n t 2"]]
  points: Mapping[str, Float[np.ndarray, "n s 68 2"]]
  moved: Mapping[str, Float[np.ndarray, "n s c"]]
  taught: label_accuracy.Labelled
  source: str


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
  """Models side by side.

  Attributes:
    table: with, of what is one value per clip, the mean and its bootstrap
      interval; of what is one number for all clips, its jackknife interval.
    curves: label -> model -> the mean curve of AU06 and AU12 [t, 2], smoothed.
    network: what saw the pictures for IS and FID.
    units_from: what has read the action units.
    chance: label obedience of always naming the commonest label.
  """

  table: confidence.Table
  curves: dict[str, dict[str, list[list[float]]]]
  network: str
  units_from: str
  chance: float


def compare(
  held_out: TestSamples, readings: Readings, classifier: classifiers.Classifier
) -> Comparison:
  """Measures every model against the originals."""
  videos, clips = held_out.videos, held_out.clips
  people, lpips_distance = _Identities(clips), lpips.Lpips()
  true = videos[ORIGINALS]
  true_seen = _seen(classifier, true)
  obeyed, chance = _obedience(held_out, readings)
  table: confidence.Table = {model: {} for model in readings.units}
  curves: dict = {label: {} for label in held_out.of_labels()}
  for model in table:
    frames = videos[model]
    values = people.measure(frames)
    values["agreement"] = obeyed[model]
    values |= _gaps_to_truth(model, clips, readings)
    if model != ORIGINALS:
      pairs = list(zip(frames, true, strict=True))
      values["ssim"] = [ssim.ssim(a, b) for a, b in pairs]
      values["ssim_smile"] = [ssim.ssim(a[SMILE], b[SMILE]) for a, b in pairs]
      values["lpips"] = [lpips_distance(a[SMILE], b[SMILE]) for a, b in pairs]
    else:
      del values["aed"]  # to itself
    seen = _seen(classifier, frames)
    for label, chosen in held_out.of_labels().items():
      row = confidence.means(
        {m: np.asarray(v)[chosen] for m, v in values.items()},
        f"{model}, {label}",
      )
      row |= _together(
        model, seen[chosen], true_seen[chosen], readings, np.array(chosen)
      )
      table[model][label] = row
      curve = action_units.mean_curve(readings.units[model][chosen])
      curves[label][model] = curve.tolist()
  return Comparison(table, curves, classifier.name, readings.source, chance)


def _together(model, seen, true_seen, readings, chosen):
  """What is one number for all clips of a label."""

  def of(pictures, some):
    return _score(pictures, some).mean

  def curves(unit):
    return lambda some: action_units.curve_distance(
      readings.units[model][chosen[some]],
      readings.units[ORIGINALS][chosen[some]],
    )[unit]

  statistics: dict[str, tuple[Callable, float]] = {
    "inception_score": (lambda some: of(seen, some), 1.0)
  }
  if model != ORIGINALS:
    statistics |= {
      "delta_is": (
        lambda some: (
          inception.score_distance(
            _score(seen, some), _score(true_seen, some)
          ).value
        ),
        0.0,
      ),
      "fid": (
        lambda some: (
          inception.fid(_flat(seen, some), _flat(true_seen, some)).value
        ),
        0.0,
      ),
      "au06_distance": (curves(0), 0.0),
      "au12_distance": (curves(1), 0.0),
    }
  return {
    metric: confidence.number_of_clips(statistic, len(chosen), least)
    for metric, (statistic, least) in statistics.items()
  }


def _obedience(held_out, readings):
  """1 for each clip that a judge names by its label, else 0, by model; and what
  always naming the commonest label would give."""
  labels = np.array([clip["label"] for clip in held_out.clips])
  true, named = label_accuracy.Labelled(readings.moved[ORIGINALS], labels), {}
  for model, curves in readings.moved.items():
    found = label_accuracy.obedience(
      readings.taught, true, label_accuracy.Labelled(curves, labels)
    )
    named[model] = found.generated
  return named, found.chance


def _gaps_to_truth(model, clips, readings):
  """How far what is read lies from the clip's own points and units, by clip."""
  size = clips[0]["frames"].shape[1]
  found = collections.defaultdict(list)
  for clip, points, units in zip(
    clips, readings.points[model], readings.units[model], strict=True
  ):
    true = clip["landmarks"][::POINTS_EVERY]
    inside = ((true > 0) & (true < size - 1)).all(axis=-1)
    gaps = np.linalg.norm(points - true, axis=-1)
    found["landmark_error"].append(gaps[inside].mean())
    wrong = np.abs(units - clip["action_units"]).mean(axis=0)
    found["au06_error"].append(wrong[0])
    found["au12_error"].append(wrong[1])
  return dict(found)


class _Identities:
  """Whether generated clips keep the person of their true ones."""

  def __init__(self, clips: Sequence[Mapping[str, Any]]):
    self._clips = clips
    self._see = identity.Recogniser()
    self._true = [
      self._embed(clip["frames"], clip["landmarks"]) for clip in clips
    ]
    # Each person's neutral faces: what nobody generated has to look like.
    self._neutral = [found[0] for found in self._true]

  def measure(
    self, videos: UInt8[np.ndarray, "n t h w 3"]
  ) -> dict[str, list[float]]:
    """AED and rank-1 of each clip's video."""
    found = collections.defaultdict(list)
    for i, (video, clip) in enumerate(zip(videos, self._clips, strict=True)):
      # The neutral frame's points serve all: the faces are aligned, and those
      # of a baseline have no landmarks of their own.
      points = np.broadcast_to(clip["landmarks"][:1], clip["landmarks"].shape)
      seen = self._embed(video, points)[1:]
      found["aed"].append(
        identity.average_embedding_distance(seen, self._true[i][1:])
      )
      found["rank_1"].append(self._rank(seen, i))
    return dict(found)

  def _rank(self, seen, i):
    """The share of frames recognised among the others' and another clip's."""
    gallery, people = [], []
    for j, clip in enumerate(self._clips):
      if j != i and clip["subject"] not in people:
        gallery.append(self._neutral[j])
        people.append(clip["subject"])
    subject = self._clips[i]["subject"]
    if subject not in people or len(people) < 2:
      return np.nan
    return identity.recognised(seen, subject, np.stack(gallery), people)

  def _embed(self, frames, points):
    """The neutral frame's embedding, then some of the later ones'."""
    later = np.linspace(len(frames) // 2, len(frames) - 1, _RECOGNISED)
    at = [0, *np.rint(later).astype(int).tolist()]
    return self._see(frames[at], points[at])


@dataclasses.dataclass(frozen=True, eq=False)
class _SeenClips:
  """What a classifier says of some frames of each clip."""

  network: str
  probabilities: Float[np.ndarray, "n s k"]
  features: Float[np.ndarray, "n s d"]

  def __getitem__(self, chosen):
    return _SeenClips(
      self.network, self.probabilities[chosen], self.features[chosen]
    )


def _seen(classifier, frames):
  at = np.rint(np.linspace(0, frames.shape[1] - 1, _CLASSIFIED)).astype(int)
  seen = classifier(frames[:, at].reshape(-1, *frames.shape[2:]))
  shape = len(frames), _CLASSIFIED, -1
  return _SeenClips(
    seen.network,
    seen.probabilities.reshape(shape),
    seen.features.reshape(shape),
  )


def _flat(seen, some):
  """The pictures of some clips as one set."""
  some = seen[some]
  return classifiers.Predictions(
    some.network,
    some.probabilities.reshape(-1, some.probabilities.shape[-1]),
    some.features.reshape(-1, some.features.shape[-1]),
  )


def _score(seen, some):
  pictures = _flat(seen, some)
  return inception.inception_score(
    pictures, splits=min(10, len(pictures.probabilities))
  )

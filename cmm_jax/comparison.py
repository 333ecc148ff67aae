"""CMM-Net beside what the paper compares it with, on the same held-out clips.

What tables 1 and 3 and figure 8 are made of, and what later papers report
beside them: the identity's distance (AED), rank-1 and FID.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.metrics import (
  bootstrap,
  classifiers,
  identity,
  inception,
  intensities,
  similarity,
)

ORIGINALS, STILL = "originals", "neutral_repeated"

_SMILE = slice(-8, None)  # frames
# Of each clip so many frames, evenly spaced, are shown to the slow networks: to
# the classifier, and to the face recogniser (which takes 0.13 s for each).
_CLASSIFIED, _RECOGNISED = 8, 3


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
  """Models side by side.

  Attributes:
    table: model -> label -> metric -> mean, low, high, clips. `low` and `high`
      bound 95 % of the resampled means; they are None where a metric is one
      number for all clips together.
    curves: label -> model -> the mean curve of AU06 and AU12 [t, 2], smoothed.
    network: what saw the pictures for IS and FID.
  """

  table: dict[str, dict[str, dict[str, dict[str, Any]]]]
  curves: dict[str, dict[str, list[list[float]]]]
  network: str


def compare(
  videos: Mapping[str, UInt8[np.ndarray, "n t h w 3"]],
  units: Mapping[str, Float[np.ndarray, "n t 2"]],
  clips: Sequence[Mapping[str, Any]],
  labels: Sequence[str],
  classifier: classifiers.Classifier,
) -> Comparison:
  """Measures every model against the originals.

  Args:
    videos: model -> frames, one video for each clip; `ORIGINALS` among them.
    units: model -> AU06 and AU12 as one instrument reads them.
    clips: the held-out examples.
    labels: names of their labels.
    classifier: for IS and FID.
  """
  people = _Identities(clips)
  table: dict = {model: {} for model in videos}
  curves: dict = {}
  for number, label in enumerate(labels):
    chosen = [i for i, c in enumerate(clips) if c["label"] == number]
    if not chosen:
      continue
    true = videos[ORIGINALS][chosen]
    true_seen = _seen(classifier, true)
    true_score = _score(true_seen)
    curves[label] = {}
    for model, every in videos.items():
      frames = every[chosen]
      values = people.measure(frames, chosen)
      row = {}
      if model != ORIGINALS:
        pairs = list(zip(frames, true, strict=True))
        values |= {
          "ssim": [similarity.ssim(a, b) for a, b in pairs],
          "ssim_smile": [
            similarity.ssim(a[_SMILE], b[_SMILE]) for a, b in pairs
          ],
        }
      else:
        del values["aed"]  # to itself
      for metric, found in values.items():
        found = np.array(found, np.float64)
        kept = found[np.isfinite(found)]  # rank-1 needs another clip of someone
        if len(kept):
          row[metric] = dataclasses.asdict(
            bootstrap.mean_over_clips(kept, f"{metric} of {model}, {label}")
          )
      seen = true_seen if model == ORIGINALS else _seen(classifier, frames)
      score = _score(seen)
      together = {"inception_score": score.mean}
      if model != ORIGINALS:
        together |= {
          "delta_is": inception.score_distance(score, true_score).value,
          "fid": inception.fid(seen, true_seen).value,
        }
        far = intensities.curve_distance(
          units[model][chosen], units[ORIGINALS][chosen]
        )
        together |= {"au06_distance": far[0], "au12_distance": far[1]}
      for metric, value in together.items():
        row[metric] = {
          "mean": float(value),
          "low": None,
          "high": None,
          "clips": len(chosen),
        }
      table[model][label] = row
      curve = intensities.mean_curve(units[model][chosen])
      curves[label][model] = curve.tolist()
  return Comparison(table, curves, classifier.name)


class _Identities:
  """Whether generated clips keep the person of their true ones."""

  def __init__(self, clips):
    self._clips = clips
    self._see = identity.Recogniser()
    self._true = [
      self._embed(clip["frames"], clip["landmarks"]) for clip in clips
    ]
    # Each person's neutral faces: what nobody generated has to look like.
    self._neutral = [found[0] for found in self._true]

  def measure(self, frames, chosen):
    """AED and rank-1 of each of the chosen clips' videos."""
    found = collections.defaultdict(list)
    for video, i in zip(frames, chosen, strict=True):
      # The neutral frame's points serve all: the faces are aligned, and those
      # of a baseline have no landmarks of their own.
      points = np.broadcast_to(
        self._clips[i]["landmarks"][:1], self._clips[i]["landmarks"].shape
      )
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


def _seen(classifier, frames):
  """What the classifier says of some frames of each video."""
  at = np.rint(np.linspace(0, frames.shape[1] - 1, _CLASSIFIED)).astype(int)
  return classifier(frames[:, at].reshape(-1, *frames.shape[2:]))


def _score(seen):
  return inception.inception_score(
    seen, splits=min(10, len(seen.probabilities))
  )

"""Measures every model of a run with every metric."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.evaluation.extractors import Extractors
from cmm_jax.evaluation.measurements import Measurements
from cmm_jax.evaluation.metrics import action_units, confidence
from cmm_jax.evaluation.metrics.label_accuracy import (
  LabelClassifier,
  LabeledCurves,
)
from cmm_jax.evaluation.metrics.landmarks import landmark_error
from cmm_jax.evaluation.metrics.metric import MODES, Metric
from cmm_jax.evaluation.samples import ORIGINALS, TestSamples
from cmm_jax.models import registry

# model -> metric -> a value for each test clip, NaN for clips without one
PerClip = dict[str, dict[str, Float[np.ndarray, " n"]]]
# label -> model or sequence -> mean curve [t, 2] of AU06 and AU12
Curves = dict[str, dict[str, list[list[float]]]]


def read(
  samples: TestSamples,
  extractors: Extractors,
  train_clips: Sequence[Mapping[str, Any]] = (),
  openface: Callable[[str], Float[np.ndarray, "n t 2"]] | None = None,
) -> dict[str, Measurements]:
  """Returns the measurements of the originals, the baseline and every model.

  Args:
    samples: the test clips and the models' smiles.
    extractors: the networks that measure.
    train_clips: what the label classifiers are trained on.
    openface: maps a compared model to its action units by OpenFace; by default,
      the run's regressor measures them.
  """
  clips, compared = samples.clips, samples.compared_models

  @functools.cache
  def train():
    frames = np.stack([clip["frames"] for clip in train_clips])
    return Measurements(train_clips, frames, extractors)

  @functools.cache
  def classifier(curves):
    return LabelClassifier(
      LabeledCurves(getattr(train(), curves), train().labels)
    )

  def measure(model):
    options = {}
    if model == ORIGINALS:
      options = {
        "landmark_images": draw_landmarks(clips, samples.landmark_image_size)[
          :, None
        ],
        "alternatives": _clips_of_one_person(clips),
        "reconstruct": lambda images: extractors.autoencoder(images),
      }
    elif model in samples.smiles:
      smiles = samples.smiles[model]
      options = {
        "sequences": smiles.frames,
        "landmark_images": smiles.landmark_images,
        "alternatives": _modes_of_each_face(smiles),
        "variant": bool(registry.MODELS[model].variant),
      }
    if openface is not None and model in compared:
      options["action_units"] = functools.partial(openface, model)
    return Measurements(
      clips,
      samples.videos(model),
      extractors,
      label_classifier=lambda: classifier("movement_curves"),
      pixel_label_classifier=lambda: classifier("pixel_curves"),
      **options,
    )

  models = dict.fromkeys([*compared, *samples.smiles])
  return {model: measure(model) for model in models}


def draw_landmarks(
  clips: Sequence[Mapping[str, Any]], size: int
) -> UInt8[np.ndarray, "n t {size} {size}"]:
  """The landmark images of original clips."""
  frame_size = clips[0]["frames"].shape[1]

  @jax.jit
  def draw(points):
    return landmarks.draw(landmarks.rescale(points, frame_size, size), size)

  images = [np.asarray(draw(clip["landmarks"])) for clip in clips]
  return np.rint(255 * np.stack(images)).astype(np.uint8)


def _modes_of_each_face(smiles):
  """For each clip the index of its modes, if there are two or more."""
  faces, sequences = smiles.frames.shape[:2]
  if smiles.landmark_images is None or sequences < 3:
    return {}
  return {face: np.s_[face, 1:] for face in range(faces)}


def _clips_of_one_person(clips):
  """The index of all clips of a person and label, for the first of them."""
  groups = collections.defaultdict(list)
  for i, clip in enumerate(clips):
    groups[clip["label"], clip["subject"]].append(i)
  return {
    several[0]: (np.array(several), 0)
    for several in groups.values()
    if len(several) > 1
  }


def per_clip(
  measurements: Mapping[str, Measurements], metrics: Iterable[Metric]
) -> PerClip:
  """Computes the metrics that have a value for each clip.

  Args:
    measurements: by model, with the originals.
    metrics: which to compute, for the models that they apply to.
  """
  values: PerClip = {model: {} for model in measurements}
  for metric in metrics:
    if metric.per_clip is None:
      continue
    for name, model in _models_of(metric, measurements):
      found = metric.per_clip(model, measurements[ORIGINALS])
      values[name][metric.name] = np.asarray(found)
  return values


def table(
  measurements: Mapping[str, Measurements],
  by_label: Mapping[str, np.ndarray],
  metrics: Sequence[Metric],
  values: PerClip | None = None,
) -> confidence.Table:
  """Estimates metrics of all models that they apply to.

  Args:
    measurements: by model, with the originals.
    by_label: the indices of the clips of each label.
    metrics: which to estimate.
    values: what `per_clip` returns of them, if it is at hand.

  Raises:
    ValueError: a value is not finite.
  """
  if values is None:
    values = per_clip(measurements, metrics)
  rows: confidence.Table = {
    model: {label: {} for label in by_label} for model in measurements
  }
  for metric in metrics:
    for name, model in _models_of(metric, measurements):
      for label, clips in by_label.items():
        if metric.per_clip is None:
          estimate = _of_set(metric, model, measurements[ORIGINALS], clips)
        else:
          what = f"{metric.name} of {name}, {label}"
          estimate = _of_clips(values[name][metric.name][clips], what)
        if estimate is not None:
          rows[name][label][metric.name] = estimate
  return rows


def _models_of(metric, measurements):
  """Name and measurements of the models that a metric applies to.

  Variants of the modes' losses only have the metrics of the modes' table.
  """
  for name, model in measurements.items():
    if model.variant and MODES not in metric.tables:
      continue
    if metric.applies_to(model, measurements[ORIGINALS]):
      yield name, model


def _of_clips(values, what):
  """The estimate of a mean, or None if no clip has a value."""
  present = values[~np.isnan(values)]
  return confidence.mean_over_clips(present, what) if len(present) else None


def _of_set(metric, model, originals, clips):
  """The estimate of a metric of a set of clips, or None if it has no value."""
  estimate = confidence.jackknife(
    lambda some: metric.of_set(model, originals, clips[some]),
    len(clips),
    metric.minimum,
  )
  return None if np.isnan(estimate.value) else estimate


def curves(
  measurements: Mapping[str, Measurements], by_label: Mapping[str, np.ndarray]
) -> Curves:
  """The mean action unit curves of the compared models, smoothed (figure 8)."""
  return {
    label: {
      name: action_units.mean_curve(model.action_units[clips]).tolist()
      for name, model in measurements.items()
      if not model.variant
    }
    for label, clips in by_label.items()
  }


def mode_curves(
  measurements: Mapping[str, Measurements], by_label: Mapping[str, np.ndarray]
) -> Curves:
  """CMM-Net's mean action unit curves beside the originals'."""
  originals, model = measurements[ORIGINALS], measurements["cmm_net"]
  sequences = {
    "original, labels": originals.true_action_units,
    "original, predicted": originals.regressed_action_units,
    "conditional": model.regressed_action_units,
    "modes": model.regressed_action_units_of_modes.mean(axis=1),
  }
  return {
    label: {
      name: units[clips].mean(axis=0).tolist()
      for name, units in sequences.items()
    }
    for label, clips in by_label.items()
  }


def regressor_errors(originals: Measurements) -> dict[str, float]:
  """The errors of the run's regressors on the original test clips."""
  landmarks = np.stack([clip["landmarks"] for clip in originals.clips])
  size = originals.videos.shape[2]
  errors = {
    "landmarks_px": landmark_error(originals.points[:, 0], landmarks, size)
  }
  for unit, name in enumerate(action_units.NAMES):
    agreement = action_units.agreement(
      originals.regressed_action_units[..., unit].ravel(),
      originals.true_action_units[..., unit].ravel(),
    )
    for quantity, value in dataclasses.asdict(agreement).items():
      errors[f"{name.lower()}_{quantity}"] = value
  return errors

"""How well several smiles of a face cover those that it could show.

All landmarks are read from landmark images by the run's landmark regressor.
"""

import numpy as np
from jaxtyping import Float

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics.diversity import (
  average_displacement_error,
  final_displacement_error,
)
from cmm_jax.evaluation.metrics.metric import LAST_FRAMES, MODES, Metric

# A pair of smiles that is this far apart, in pixels of 64, is hardly alike: its
# similarity is exp(-1/2). True smiles of a person are half of it apart.
_SIMILARITY_SCALE = 1.0

# A mouth that moves less has no time at which it moves.
_LEAST_MOVEMENT = 0.5  # pixels of 64


def multimodal_error(
  error,
  samples: Float[np.ndarray, "s t p 2"],
  truths: Float[np.ndarray, "m t p 2"],
) -> float:
  """MMADE and MMFDE: the mean error over all true futures of one start.

  1/m sum_j error(samples, y_j)                     (Yuan and Kitani, 2020)

  The paper groups the sequences that start alike; here these are the clips of
  one person and label. A single smile, repeated, has a low ADE if it is the
  true one, and a high MMADE.

  Args:
    error: `average_displacement_error` or `final_displacement_error`.
    samples: the generated sequences.
    truths: the true ones.
  """
  return float(np.mean([error(samples, truth) for truth in truths]))


def vendi_score(similarities: Float[np.ndarray, "n n"]) -> float:
  """The effective number of different samples (Friedman and Dieng, 2023).

  exp(-sum_i e_i log e_i), with the eigenvalues e of K / n: 1 if all samples are
  alike, n if no two are.

  Args:
    similarities: positive semidefinite, with ones on the diagonal.
  """
  values = np.linalg.eigvalsh(similarities / len(similarities))
  values = values[values > 1e-12]
  return float(np.exp(-np.sum(values * np.log(values))))


def similarities(
  sequences: Float[np.ndarray, "n t p 2"],
) -> Float[np.ndarray, "n n"]:
  """exp(-d^2 / 2) for pairs of sequences whose points are d pixels apart.

  d is the root of the mean squared distance, so that the matrix is positive
  semidefinite.
  """
  gaps = sequences[:, None] - sequences[None]
  squared = np.square(gaps).sum(axis=-1).mean(axis=(2, 3))
  return np.exp(-0.5 * squared / _SIMILARITY_SCALE**2)


def half_rise(sequence: Float[np.ndarray, "t 68 2"]) -> float:
  """The time, in frames, at which the mouth's corners are half way.

  Their distance to the first frame, relative to its mean over the last frames,
  linearly interpolated; NaN if they hardly move.
  """
  corners = sequence[:, list(landmarks.MOUTH_CORNERS)]
  moved = np.linalg.norm(corners - corners[:1], axis=-1).mean(axis=-1)
  half = moved[LAST_FRAMES].mean() / 2
  if half < _LEAST_MOVEMENT / 2:
    return float("nan")
  after = int(np.argmax(moved >= half))  # never 0: nothing has moved there
  share = (half - moved[after - 1]) / (moved[after] - moved[after - 1])
  return float(after - 1 + share)


def timing_diversity(sequences: Float[np.ndarray, "s t 68 2"]) -> float:
  """The standard deviation of `half_rise` over sequences, in frames.

  NaN if fewer than two of them move.
  """
  times = np.array([half_rise(sequence) for sequence in sequences])
  times = times[np.isfinite(times)]
  return float(times.std(ddof=1)) if len(times) > 1 else float("nan")


def mode_consistency(points: Float[np.ndarray, "n k t 68 2"]) -> float:
  """Whether a mode is the same change for every face (ours): 0 to 1.

  The share of the variance between a face's modes that the mode's number
  explains: 1 if mode k differs from the other modes of its face by the same
  displacement for all n faces, 1/n on average if each face has its modes in an
  order of its own. NaN for one face, or if the modes do not differ.

  Args:
    points: of the modes of n faces.
  """
  moved = (points[:, :, LAST_FRAMES] - points[:, :, :1]).mean(axis=2)
  from_mean = moved - moved.mean(axis=1, keepdims=True)
  total = np.square(from_mean).sum()
  if len(points) < 2 or total == 0:
    return float("nan")
  common = np.square(from_mean.mean(axis=0)).sum()
  return float(len(points) * common / total)


def _multimodal(error):
  """A metric: of each clip that has others of its person and label.

  For the originals themselves, each clip is compared with the others.
  """

  def of_clips(model, originals):
    values = np.full(len(originals.clips), np.nan)
    for clip, index in (originals.alternatives or {}).items():
      truths = originals.points[index]
      truths = truths.reshape(-1, *truths.shape[-3:])
      if model is originals:
        errors = [
          error(np.delete(truths, number, axis=0), truth)
          for number, truth in enumerate(truths)
        ]
        values[clip] = np.mean(errors)
      else:
        samples = model.points_of_modes[clip]
        values[clip] = multimodal_error(error, samples, truths)
    return values

  return of_clips


def _vendi(model, originals):
  del originals

  def of_alternatives(points, frames):
    points = _in_pixels_of_64(points, frames)
    return vendi_score(similarities(points[:, LAST_FRAMES] - points[:, :1]))

  return model.over_alternatives(of_alternatives)


def _timing(model, originals):
  del originals
  return model.over_alternatives(
    lambda points, frames: timing_diversity(_in_pixels_of_64(points, frames))
  )


def _in_pixels_of_64(points, frames):
  """The points as if the frames were 64 pixels wide, as the constants are."""
  return points * (64 / frames.shape[-2])


METRICS = (
  *(
    Metric(
      name=name.lower(),
      heading=name,
      unit="px",
      better="lower",
      digits=2,
      tables=(MODES,),
      needs=("alternatives",),
      per_clip=_multimodal(error),
    )
    for name, error in (
      ("MMADE", average_displacement_error),
      ("MMFDE", final_displacement_error),
    )
  ),
  Metric(
    name="vendi",
    heading="Vendi score",
    digits=2,
    tables=(MODES,),
    needs=("alternatives",),
    per_clip=_vendi,
  ),
  Metric(
    name="timing_diversity",
    heading="timing, deviation",
    unit="frames",
    digits=2,
    tables=(MODES,),
    needs=("alternatives",),
    per_clip=_timing,
  ),
  Metric(
    name="mode_consistency",
    heading="consistency of the modes",
    digits=2,
    tables=(MODES,),
    needs=("points_of_modes",),
    of_set=lambda model, originals, clips: mode_consistency(
      model.points_of_modes[clips]
    ),
    minimum=0.0,
  ),
)

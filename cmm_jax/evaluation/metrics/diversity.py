"""How far the smiles of one face are apart, and from the truth, by landmarks.

All landmarks, those of the originals too, are read from landmark images by the
run's landmark regressor.
"""

import numpy as np
from jaxtyping import Float

from cmm_jax import landmarks
from cmm_jax.evaluation.metrics.metric import (
  FIRST_FRAMES,
  LAST_FRAMES,
  MODES,
  Metric,
)

_REGIONS = {
  "face": range(landmarks.NUM_POINTS),
  "mouth": landmarks.MOUTH,
  "eyes": landmarks.EYES,
}


def average_pairwise_distance(
  sequences: Float[np.ndarray, "s t p 2"],
) -> float:
  """APD: the mean distance of corresponding points of pairs of sequences.

  The mean runs over pairs, frames and points and is in the unit of the points;
  0 means that all sequences are equal. Report it beside the APD of true clips
  of one person and label.

  Raises:
    ValueError: fewer than two sequences.
  """
  if len(sequences) < 2:
    raise ValueError(
      f"{len(sequences)} sequence has no distance to another; pass two or more."
    )
  first, second = np.triu_indices(len(sequences), k=1)
  gaps = np.linalg.norm(sequences[first] - sequences[second], axis=-1)
  return float(gaps.mean())


def average_displacement_error(
  samples: Float[np.ndarray, "s t p 2"], truth: Float[np.ndarray, "t p 2"]
) -> float:
  """ADE: the distance of the best sample to the truth, in pixels; 0 is best.

  min_s mean_t |x_s(t) - y(t)|, where the distance of two frames is the mean
  over their points. More samples can only lower the error: compare at equal
  numbers.
  """
  gaps = np.linalg.norm(samples - truth[None], axis=-1)
  return float(gaps.mean(axis=(1, 2)).min())


def final_displacement_error(
  samples: Float[np.ndarray, "s t p 2"], truth: Float[np.ndarray, "t p 2"]
) -> float:
  """FDE: the ADE of the last frame alone; the best sample may be another."""
  return average_displacement_error(samples[:, -1:], truth[-1:])


def mean_displacement(
  sequence: Float[np.ndarray, "t p 2"],
  start: Float[np.ndarray, "p 2"],
) -> float:
  """The mean distance of points to `start`, in the unit of the points."""
  return float(np.linalg.norm(sequence - start, axis=-1).mean())


# What an APD compares: landmarks of some frames, or their displacement. True
# clips of a person differ in the pose of the head, even in the first frame;
# modes share it. Displacements from each sequence's first frame exclude it.
_COMPARED = {
  "last_8": lambda points: points[:, LAST_FRAMES],
  "first_4": lambda points: points[:, FIRST_FRAMES],
  "displacement": lambda points: points[:, LAST_FRAMES] - points[:, :1],
}
_HEADINGS = {
  "last_8": "APD, last 8 frames",
  "first_4": "APD, first 4 frames",
  "displacement": "APD, displacement",
}


def _apd(compared, region="face"):
  """A metric: the APD between the alternatives of each face."""

  def of_alternatives(points, frames):
    del frames
    return average_pairwise_distance(
      _COMPARED[compared](points)[:, :, list(_REGIONS[region])]
    )

  return lambda model, originals: model.over_alternatives(of_alternatives)


def _apd_ratio(region):
  """A metric: the APD of a region's displacement over that of the face."""
  of_region, of_face = _apd("displacement", region), _apd("displacement")

  def ratio(model, originals):
    return of_region(model, originals) / np.maximum(
      of_face(model, originals), 1e-6
    )

  return ratio


def _mouth_corner_displacement(points, start):
  """In the last frames, in pixels, from `start`, the neutral face."""
  corners = list(landmarks.MOUTH_CORNERS)
  return mean_displacement(points[LAST_FRAMES][:, corners], start[corners])


def _mouth_corners(model, originals):
  """Of each clip's first sequence."""
  pairs = zip(model.points[:, 0], originals.points[:, 0, 0], strict=True)
  return [_mouth_corner_displacement(*pair) for pair in pairs]


def _mouth_corners_of_modes(model, originals):
  """The mean over the modes of each clip."""
  pairs = zip(model.points_of_modes, originals.points[:, 0, 0], strict=True)
  return [
    np.mean([_mouth_corner_displacement(mode, start) for mode in modes])
    for modes, start in pairs
  ]


def _error(function):
  """A metric: an error of each clip's modes against the original."""

  def of_clips(model, originals):
    pairs = zip(model.points_of_modes, originals.points[:, 0], strict=True)
    return [function(*pair) for pair in pairs]

  return of_clips


METRICS = (
  *(
    Metric(
      name=f"apd_{compared}",
      heading=heading,
      unit="px",
      digits=2,
      tables=(MODES,),
      needs=("alternatives",),
      per_clip=_apd(compared),
    )
    for compared, heading in _HEADINGS.items()
  ),
  *(
    Metric(
      name=f"apd_{region}_over_face",
      heading=f"APD, {region} / face",
      digits=2,
      tables=(MODES,),
      needs=("alternatives",),
      per_clip=_apd_ratio(region),
    )
    for region in ("mouth", "eyes")
  ),
  *(
    Metric(
      name=f"apd_{compared}_{region}",
      heading=f"{heading}, {region}",
      column=False,
      unit="px",
      digits=2,
      tables=(MODES,),
      needs=("alternatives",),
      per_clip=_apd(compared, region),
    )
    for compared, heading in _HEADINGS.items()
    for region in ("mouth", "eyes")
  ),
  Metric(
    name="ade",
    heading="ADE",
    unit="px",
    better="lower",
    digits=2,
    tables=(MODES,),
    needs=("points_of_modes",),
    per_clip=_error(average_displacement_error),
  ),
  Metric(
    name="fde",
    heading="FDE",
    unit="px",
    better="lower",
    digits=2,
    tables=(MODES,),
    needs=("points_of_modes",),
    per_clip=_error(final_displacement_error),
  ),
  Metric(
    name="mouth_corner_displacement",
    heading="mouth corner displacement",
    column=False,
    unit="px",
    digits=2,
    tables=(MODES,),
    needs=("points",),
    per_clip=_mouth_corners,
  ),
  Metric(
    name="mouth_corner_displacement_of_modes",
    heading="mouth corner displacement, modes",
    column=False,
    unit="px",
    digits=2,
    tables=(MODES,),
    needs=("points_of_modes",),
    per_clip=_mouth_corners_of_modes,
  ),
)

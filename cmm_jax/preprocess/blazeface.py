"""The output of the face detector BlazeFace: anchors, decoding, suppression.

BlazeFace (Bazarevsky et al., 2019) is MediaPipe's detector; this is its model
for nearby faces. Coordinates are fractions of its square input.
"""

import numpy as np
from jaxtyping import Float

INPUT_SIZE = 128  # height and width in pixels

MIN_SCORE = 0.5  # of a face, as in MediaPipe
_MIN_OVERLAP = 0.3  # intersection over union of boxes around one face

# Cells along a side of each grid, and anchors in the center of each cell.
_GRIDS = ((16, 2), (8, 6))


def _make_anchors():
  """The centers of the anchors, [896, 2]."""
  centers = []
  for cells, anchors_per_cell in _GRIDS:
    along = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(along, along)
    grid = np.stack([x, y], axis=-1).reshape(-1, 2)
    centers.append(np.repeat(grid, anchors_per_cell, axis=0))
  return np.concatenate(centers)


_ANCHORS = _make_anchors()


def decode(
  regressors: Float[np.ndarray, "896 16"], logits: Float[np.ndarray, " 896"]
) -> tuple[Float[np.ndarray, "n 8 2"], Float[np.ndarray, " n"]]:
  """The candidates whose score is at least `MIN_SCORE`.

  Args:
    regressors: center and size of the box and six key points, in pixels of the
      input, relative to the anchors.
    logits: of the scores.

  Returns:
    Two opposite corners of the box and the key points of each candidate (the
    eyes first, the left one in the image before the right one), and its score.
  """
  scores = 1 / (1 + np.exp(-np.clip(logits, -50.0, 50.0)))
  kept = scores >= MIN_SCORE
  pairs = regressors[kept].reshape(-1, 8, 2) / INPUT_SIZE
  anchors = _ANCHORS[kept]
  center, half = pairs[:, 0] + anchors, pairs[:, 1] / 2
  key_points = pairs[:, 2:] + anchors[:, None]
  corners = np.stack([center - half, center + half], axis=1)
  return np.concatenate([corners, key_points], axis=1), scores[kept]


def suppress(
  candidates: Float[np.ndarray, "n 8 2"], scores: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "m 8 2"], Float[np.ndarray, " m"]]:
  """Merges candidates that overlap: the mean, weighted by their scores.

  Args:
    candidates: as `decode` returns them, in any unit.
    scores: of the candidates.

  Returns:
    One candidate per face with its highest score, by falling score.
  """
  order = np.argsort(-scores, kind="stable")
  candidates, scores = candidates[order], scores[order]
  merged, best = [], []
  while len(scores):
    same = _overlaps(candidates[0], candidates) > _MIN_OVERLAP
    same[0] = True
    weights = scores[same] / scores[same].sum()
    merged.append(np.tensordot(weights, candidates[same], axes=1))
    best.append(scores[0])
    candidates, scores = candidates[~same], scores[~same]
  return np.reshape(merged, (-1, 8, 2)), np.array(best)


def _overlaps(one, others):
  """Intersection over union of one box and others."""
  start = np.maximum(one[0], others[:, 0])
  end = np.minimum(one[1], others[:, 1])
  shared = np.prod(np.maximum(end - start, 0), axis=-1)
  areas = np.prod(others[:, 1] - others[:, 0], axis=-1)
  area = np.prod(one[1] - one[0])
  return shared / np.maximum(area + areas - shared, 1e-12)

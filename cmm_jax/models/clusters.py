"""Clusters of clips by how the face moves, one for each mode (ours).

The paper tells the smiles of one face apart by mouth and eyes (Figure 6). So do
these clusters: k-means of the movement of mouth and eyes, each scaled to the
same variance, so that the eyes, which move less, count as much as the mouth.
In an image of lines, or in the embedding of one, they count for little. A
cluster is the same kind of smile for every person and every label.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from cmm_jax import landmarks

_PARTS = (landmarks.MOUTH, landmarks.EYES)
_NUM_FRAMES = 8  # those between move alike
_STARTS = 10
_STEPS = 30
# Share of the variance; a lower temperature needs more iterations.
_TEMPERATURE = 0.01
_ITERATIONS = 200


class ClusteredClips:
  """Clips that name their cluster, a sequence like `data.clips.Clips`.

  Each has one more entry, "cluster", int32. The clusters are found when a clip
  is first asked for, and are the same for the same clips. They are numbered by
  how far the mouth opens, from the widest on.
  """

  def __init__(self, clips: Sequence[Mapping[str, Any]], num_clusters: int):
    """Reads nothing yet.

    Args:
      clips: of a split.
      num_clusters: K.
    """
    self._clips, self._num_clusters = clips, num_clusters

  def __len__(self) -> int:
    return len(self._clips)

  def __getitem__(self, index: int) -> Mapping[str, Any]:
    return {**self._clips[index], "cluster": self._clusters[int(index)]}

  @functools.cached_property
  def _clusters(self):
    # Not a list of clips, whose frames may not fit the memory together.
    clips = (self._clips[i] for i in range(len(self._clips)))
    points, labels = map(
      np.array, zip(*((c["landmarks"], c["label"]) for c in clips), strict=True)
    )
    chosen = cluster(movement(points, labels), self._num_clusters)
    gaps = points[:, -1, 66, 1] - points[:, -1, 62, 1]  # between the inner lips
    means = np.bincount(chosen, gaps) / np.bincount(chosen)
    return np.argsort(np.argsort(-means))[chosen].astype(np.int32)


def movement(
  points: Float[np.ndarray, "n t 68 2"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n d"]:
  """How mouth and eyes of each clip move beyond the mean of its label.

  Displacements from the first frame, averaged over both halves of the face: a
  mirrored clip moves alike, and a head that turns sideways or rolls hardly
  does. Within each label the variance of each of the two parts is 1, or 0 if it
  never moves, lest a label of larger movements have clusters of its own.

  Args:
    points: landmarks in pixels.
    labels: of the clips.
  """
  every = max(1, points.shape[1] // _NUM_FRAMES)
  moved = points[:, ::every].astype(np.float64) - points[:, :1]
  moved = (moved + moved[:, :, landmarks.MIRROR] * [-1, 1]) / 2
  parts = [moved[:, :, list(part)].reshape(len(moved), -1) for part in _PARTS]
  for label, part in itertools.product(np.unique(labels), parts):
    alike = part[labels == label]
    deviation = max(np.sqrt(_variance(alike)), 1e-6)
    part[labels == label] = (alike - alike.mean(axis=0)) / deviation
  return np.concatenate(parts, axis=1)


def cluster(
  examples: Float[np.ndarray, "n d"], num_clusters: int
) -> Int[np.ndarray, " n"]:
  """K-means with clusters of similar size, the best of several starts.

  Lloyd's algorithm with a balanced assignment in place of the nearest mean, so
  that each mode has about as many clips to learn from. On the host and in
  double precision, so that all processes find the same clusters.

  Args:
    examples: to cluster.
    num_clusters: K.

  Returns:
    The cluster of each example. Each has half of an equal share at least; with
    fewer examples than clusters, each example has one of its own.
  """
  num_clusters = min(num_clusters, len(examples))
  temperature = _TEMPERATURE * max(_variance(examples), 1e-6)
  best, least = None, np.inf
  for seed in range(_STARTS):
    starts = np.random.default_rng(seed).permutation(len(examples))
    means, chosen = examples[starts[:num_clusters]], None
    for _ in range(_STEPS):
      costs = _squared_distances(means, examples)
      before, chosen = chosen, _share_out(costs, temperature)
      if np.array_equal(before, chosen):
        break
      means = np.stack(
        [examples[chosen == k].mean(axis=0) for k in range(num_clusters)]
      )
    total = costs[chosen, np.arange(len(examples))].sum()
    if total < least:
      best, least = chosen, total
  return best


def _share_out(costs, temperature):
  """The cluster of each example by costs [k n], each of some size at least.

  Sinkhorn's iterations, as in `losses.sinkhorn_assignment`; the largest share.
  """
  num_clusters, num_examples = costs.shape
  logits = -costs / temperature
  for _ in range(_ITERATIONS):
    for axis in (1, 0):
      logits -= logits.max(axis=axis, keepdims=True)
      logits -= np.log(np.exp(logits).sum(axis=axis, keepdims=True))
  chosen = logits.argmax(axis=0)
  # Outliers can leave a cluster with few others.
  least = max(1, num_examples // (2 * num_clusters))
  for k in range(num_clusters):
    while (sizes := np.bincount(chosen, minlength=num_clusters))[k] < least:
      extra = costs[k] - costs[chosen, np.arange(num_examples)]
      chosen[np.where(sizes[chosen] > least, extra, np.inf).argmin()] = k
  return chosen


def _squared_distances(means, examples):
  """[k d] and [n d] to [k n]."""
  lengths = np.square(examples).sum(axis=1)
  of_means = np.square(means).sum(axis=1, keepdims=True)
  return np.maximum(lengths - 2 * means @ examples.T + of_means, 0)


def _variance(examples):
  """The mean squared distance of examples [n d] from their mean."""
  return np.square(examples - examples.mean(axis=0)).sum(axis=1).mean()

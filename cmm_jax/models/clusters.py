"""Clusters of clips by how the face moves, one for each mode (ours).

The paper tells the smiles of one face apart by mouth and eyes (Figure 6). So do
these clusters: k-means of the movement of mouth and eyes, each scaled to the
same variance, so that the eyes, which move less, count as much as the mouth.
In an image of lines, or in the embedding of one, they count for little. A
cluster is the same kind of smile for every person and label.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from cmm_jax import landmarks, losses

_PARTS = (landmarks.MOUTH, landmarks.EYES)
_EVERY = 4  # frames: those between move alike
_STARTS = 10
_STEPS = 30
# Of the variance. Lower ones need more iterations to share the clips out.
_TEMPERATURE = 0.01
_ITERATIONS = 200


class ClusteredClips:
  """Clips that name their cluster, a sequence like `data.clips.Clips`.

  Each has an entry more, "cluster", int32. The clusters are found when a clip
  is first asked for, and are the same for the same clips.
  """

  def __init__(self, clips: Sequence[Mapping[str, Any]], num_clusters: int):
    """Reads nothing yet.

    Args:
      clips: of a split.
      num_clusters: K.

    Raises:
      ValueError: there are fewer clips than clusters.
    """
    if len(clips) < num_clusters:
      raise ValueError(
        f"Each mode learns from a cluster of clips, and {len(clips)} clips "
        f"cannot be {num_clusters} clusters; lower config.model.num_modes to "
        f"{len(clips)}, or use more clips."
      )
    self._clips, self._num_clusters = clips, num_clusters

  def __len__(self) -> int:
    return len(self._clips)

  def __getitem__(self, index: int) -> Mapping[str, Any]:
    return {**self._clips[index], "cluster": self._clusters[int(index)]}

  @functools.cached_property
  def _clusters(self):
    clips = [self._clips[i] for i in range(len(self._clips))]
    points = np.stack([clip["landmarks"] for clip in clips])
    labels = np.array([clip["label"] for clip in clips])
    return cluster(movement(points, labels), self._num_clusters)


def movement(
  points: Float[np.ndarray, "n t 68 2"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n d"]:
  """How mouth and eyes of each clip move beyond the mean of its label.

  Displacements from the first frame, averaged over both halves of the face: a
  mirrored clip moves alike, and a turn of the head cancels out. The variance of
  each of the two parts is 1, or 0 if it never moves.

  Args:
    points: landmarks in pixels.
    labels: of the clips.
  """
  moved = (points - points[:, :1])[:, ::_EVERY].astype(np.float64)
  moved = (moved + moved[:, :, landmarks.MIRROR] * [-1, 1]) / 2
  for label in np.unique(labels):
    moved[labels == label] -= moved[labels == label].mean(axis=0)
  parts = [moved[:, :, list(part)].reshape(len(moved), -1) for part in _PARTS]
  return np.concatenate(
    [part / max(np.sqrt(_variance(part)), 1e-6) for part in parts], axis=1
  )


def cluster(
  examples: Float[np.ndarray, "n d"], num_clusters: int
) -> Int[np.ndarray, " n"]:
  """K-means with clusters of nearly equal size, the best of several starts.

  Lloyd's algorithm with `losses.sinkhorn_assignment` at a low temperature in
  place of the nearest mean, so that each mode has as many clips to learn from.

  Args:
    examples: to cluster.
    num_clusters: K.

  Returns:
    The cluster of each example.
  """
  temperature = _TEMPERATURE * max(_variance(examples), 1e-6)
  assign = jax.jit(
    functools.partial(
      losses.sinkhorn_assignment,
      temperature=temperature,
      iterations=_ITERATIONS,
    )
  )
  best, least = None, np.inf
  for seed in range(_STARTS):
    starts = np.random.default_rng(seed).permutation(len(examples))
    means = examples[starts[:num_clusters]]
    for _ in range(_STEPS):
      costs = np.square(examples - means[:, None]).sum(axis=-1)
      chosen = np.asarray(assign(costs)).argmax(axis=0)
      for k in np.unique(chosen):
        means[k] = examples[chosen == k].mean(axis=0)
    total = costs[chosen, np.arange(len(examples))].sum()
    if total < least:
      best, least = chosen, total
  return best.astype(np.int32)


def _variance(examples):
  """The mean squared distance of examples [n d] from their mean."""
  return np.square(examples - examples.mean(axis=0)).sum(axis=1).mean()

"""What the smiles of K modes would be if they were the K means of true smiles.

  python -m benchmarks.ideal_modes [virtual_smiles/quick [data]]

Clusters the displacement of the landmarks in the last 8 frames of the training
clips, of all people at once, so that a cluster is the same kind of smile for
everybody. "Free" clusters have any size; "equal" ones share the clips out
evenly, as the training of the modes does (`losses.sinkhorn_assignment`). The
shares are those of the table of modes in docs/results.md, of true landmarks.
"""

from collections.abc import Sequence

import numpy as np
from absl import app
from jaxtyping import Float, Int
from scipy import cluster, optimize

from cmm_jax import landmarks
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation.metrics.diversity import average_pairwise_distance
from cmm_jax.evaluation.metrics.metric import LAST_FRAMES

_NUM_MODES = (2, 3, 5, 8)
_STARTS = 10
_STEPS = 30
_REGIONS = {"mouth": landmarks.MOUTH, "eyes": landmarks.EYES}


def main(argv: Sequence[str]) -> None:
  """Prints the table, of a dataset and the folder in which it lies."""
  if len(argv) > 3:
    raise app.UsageError(f"Unknown argument {argv[3]!r}.")
  defaults = "virtual_smiles/quick", "data"
  dataset, data_dir = *argv[1:], *defaults[len(argv) - 1 :]
  source = Clips(data_dir, dataset, "train")
  clips = [source[i] for i in range(len(source))]
  points = np.stack([clip["landmarks"] for clip in clips])
  moved = points[:, LAST_FRAMES] - points[:, :1]
  labels = np.array([clip["label"] for clip in clips])
  people = np.array([clip["subject"] for clip in clips])
  print(
    "| label | modes | clusters | APD, px | mouth / face | eyes / face | "
    "smallest |\n|---|---|---|---|---|---|---|"
  )
  for number, label in enumerate(source.labels):
    some, whose = moved[labels == number], people[labels == number]
    of_person = [
      some[whose == person]
      for person in np.unique(whose)
      if np.sum(whose == person) > 1
    ]
    print(f"| {label} | true clips | | {_shares(of_person)} | |")
    for num_modes in _NUM_MODES:
      for kind, equal in (("free", False), ("equal", True)):
        chosen = cluster_clips(some, num_modes, equal=equal)
        means = [some[chosen == k].mean(axis=0) for k in range(num_modes)]
        smallest = np.bincount(chosen, minlength=num_modes).min() / len(some)
        print(
          f"| {label} | {num_modes} | {kind} | {_shares([np.stack(means)])} | "
          f"{smallest:.0%} |"
        )


def cluster_clips(
  moved: Float[np.ndarray, "n t 68 2"], num_modes: int, *, equal: bool
) -> Int[np.ndarray, " n"]:
  """Lloyd's algorithm, the best of several starts; the cluster of each clip.

  Args:
    moved: displacements.
    num_modes: the number of clusters.
    equal: whether all clusters have the same size, up to one clip.
  """
  flat = moved.reshape(len(moved), -1).astype(np.float64)
  assign = _assign_equally if equal else _assign_to_nearest
  best, least = None, np.inf
  for seed in range(_STARTS):
    means, chosen = cluster.vq.kmeans2(flat, num_modes, minit="++", rng=seed)
    for _ in range(_STEPS):
      costs = np.square(flat[:, None] - means).sum(axis=-1)
      chosen = assign(costs)
      means = np.stack(
        [
          flat[chosen == k].mean(axis=0) if (chosen == k).any() else means[k]
          for k in range(num_modes)
        ]
      )
    total = costs[np.arange(len(flat)), chosen].sum()
    if total < least:
      best, least = chosen, total
  return best


def _assign_to_nearest(costs):
  return costs.argmin(axis=1)


def _assign_equally(costs):
  """Each clip to one of as many places as there are clips."""
  num_clips, num_modes = costs.shape
  modes = np.arange(num_clips) % num_modes
  _, places = optimize.linear_sum_assignment(costs[:, modes])
  return modes[places]


def _shares(groups):
  """The APD within groups of displacements [k t 68 2], and its regions'."""
  apd = np.mean([average_pairwise_distance(group) for group in groups])
  shares = []
  for region in _REGIONS.values():
    parts = [group[:, :, list(region)] for group in groups]
    of_region = np.mean([average_pairwise_distance(part) for part in parts])
    shares.append(f"{of_region / apd:.2f}")
  return " | ".join([f"{apd:.2f}", *shares])


if __name__ == "__main__":
  app.run(main)

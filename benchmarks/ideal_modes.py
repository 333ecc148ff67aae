"""What the smiles of K modes would be if they were means of true smiles.

  python -m benchmarks.ideal_modes [virtual_smiles/quick [data [RUN]]]

Prints the diversity of the clusters' means of the landmarks in the last 8
frames of the training clips: of the clusters that modes are trained with
(`models.clusters`), of k-means of all landmarks' displacements there, and of
k-means of displacements of a run's embeddings, each entry divided by its
posterior's mean deviation. The last is what the best of modes can reach by its
distance of embeddings. The shares are those of the table of modes in
docs/ablations.md, of true landmarks.
"""

from collections.abc import Sequence

import jax
import numpy as np
from absl import app
from scipy.cluster import vq

from cmm_jax import checkpoints, landmarks, run_config, runtime
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation.metrics.diversity import average_pairwise_distance
from cmm_jax.evaluation.metrics.metric import LAST_FRAMES
from cmm_jax.models import clusters, registry

_NUM_MODES = (2, 3, 5, 8)
_EVERY = 4  # frames
_STARTS = 10
_STEPS = 30
_REGIONS = {"mouth": landmarks.MOUTH, "eyes": landmarks.EYES}


def main(argv: Sequence[str]) -> None:
  """Prints the table, of a dataset, the folder in which it lies, and a run."""
  if len(argv) > 4:
    raise app.UsageError(f"Unknown argument {argv[4]!r}.")
  defaults = "virtual_smiles/quick", "data", ""
  dataset, data_dir, run = *argv[1:], *defaults[len(argv) - 1 :]
  source = Clips(data_dir, dataset, "train")
  clips = [source[i] for i in range(len(source))]
  points = np.stack([clip["landmarks"] for clip in clips])
  moved = points[:, LAST_FRAMES] - points[:, :1]
  labels = np.array([clip["label"] for clip in clips])
  people = np.array([clip["subject"] for clip in clips])
  movement = clusters.movement(points, labels)
  kinds = {
    "of training": lambda num_modes: clusters.cluster(movement, num_modes),
    "k-means": lambda num_modes: _k_means(moved, num_modes),
  }
  if run:
    runtime.configure()
    embeddings = _displacements_of_embeddings(run, points[:, ::_EVERY])
    kinds["of embeddings"] = lambda num_modes: _k_means(embeddings, num_modes)
  print(
    "| label | modes | clusters | APD, px | mouth / face | eyes / face | "
    "smallest |\n|---|---|---|---|---|---|---|"
  )
  for label, name in enumerate(source.labels):
    some, whose = moved[labels == label], people[labels == label]
    of_person = [
      some[whose == person]
      for person in np.unique(whose)
      if np.sum(whose == person) > 1
    ]
    print(f"| {name} | true clips | | {_shares(of_person)} | |")
  for num_modes in _NUM_MODES:
    for kind, find in kinds.items():
      chosen = find(num_modes)
      for label, name in enumerate(source.labels):
        here = [
          moved[(labels == label) & (chosen == k)] for k in range(num_modes)
        ]
        means = np.stack([some.mean(axis=0) for some in here if len(some)])
        smallest = min(map(len, here)) / sum(map(len, here))
        print(
          f"| {name} | {num_modes} | {kind} | {_shares([means])} | "
          f"{smallest:.0%} |"
        )


def _displacements_of_embeddings(run, points):
  """Of landmarks [n t 68 2], in deviations of their posterior, [n t d]."""
  config, labels = run_config.read_config(run)
  model = registry.build(config, len(labels))
  networks = checkpoints.load_networks(run, {"vae": "modes"})
  size = model.vae.image_size

  @jax.jit
  def encode(points):
    points = landmarks.rescale(points, config.data.image_size, size)
    return model.vae.apply(
      networks["vae"], landmarks.draw(points, size)[..., None], method="encode"
    )

  means, log_variances = zip(*map(encode, points.swapaxes(0, 1)), strict=True)
  deviation = np.exp(np.array(log_variances) / 2).mean(axis=(0, 1))
  means = np.array(means) / deviation
  return (means - means[:1]).swapaxes(0, 1)


def _k_means(moved, num_modes):
  """Of displacements [n t ...]; the best of several starts."""
  flat = moved.reshape(len(moved), -1).astype(np.float64)
  found = [
    vq.kmeans2(flat, num_modes, _STEPS, minit="++", rng=seed)
    for seed in range(_STARTS)
  ]
  totals = [np.square(flat - means[chosen]).sum() for means, chosen in found]
  return found[np.argmin(totals)][1]


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

"""How much sequences differ from each other and the truth, by landmarks."""

import numpy as np
from jaxtyping import Float


def average_pairwise_distance(
  sequences: Float[np.ndarray, "s t p 2"],
) -> float:
  """APD: how far apart sequences of one face are, in the points' units.

  The mean over pairs of sequences, frames and points; 0 means that all agree.
  Quote it beside the same number for true clips of one person and label.

  Raises:
    ValueError: fewer than two sequences, which have no distance.
  """
  if len(sequences) < 2:
    raise ValueError(
      f"{len(sequences)} sequence has no distance to another; give two or more."
    )
  first, second = np.triu_indices(len(sequences), k=1)
  gaps = np.linalg.norm(sequences[first] - sequences[second], axis=-1)
  return float(gaps.mean())


def average_displacement_error(
  samples: Float[np.ndarray, "s t p 2"], truth: Float[np.ndarray, "t p 2"]
) -> float:
  """ADE: how near the truth the best sample stays, in pixels; less is better.

  min_s mean_t |x_s(t) - y(t)|, where the distance of two frames is the mean
  over their points. More samples can only lower it: compare at equal numbers.
  """
  gaps = np.linalg.norm(samples - truth[None], axis=-1)
  return float(gaps.mean(axis=(1, 2)).min())


def final_displacement_error(
  samples: Float[np.ndarray, "s t p 2"], truth: Float[np.ndarray, "t p 2"]
) -> float:
  """FDE: how near the truth the best sample ends, in pixels; less is better.

  As the ADE, of the last frame alone; the two may choose different samples.
  """
  return average_displacement_error(samples[:, -1:], truth[-1:])


def movement(
  sequence: Float[np.ndarray, "t p 2"],
  start: Float[np.ndarray, "p 2"],
) -> float:
  """How far points have moved from `start`, in their units, over the frames."""
  return float(np.linalg.norm(sequence - start, axis=-1).mean())

"""Label accuracy by what changes in the pixels, without any landmarks.

`label_accuracy` classifies the movement of dlib's landmarks and the action
units of the run's own network. This second classifier shares none of its
inputs: it reads how the gray levels of coarse cells change since the first
frame. Where the two disagree, a generator has learned to please one of them, or
moves landmarks without moving the skin.
"""

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.evaluation.metrics import label_accuracy

_CELLS = 8  # along each side of a frame


def pixel_curves(
  frames: UInt8[np.ndarray, "n t h w 3"],
) -> Float[np.ndarray, "n t 64"]:
  """The change of the mean gray level of 64 cells since the first frame.

  Gray levels are 0 to 1, the mean over channels.

  Args:
    frames: of a height and width that are multiples of 8.
  """
  n, t, height, width, _ = frames.shape
  cells = frames.reshape(
    n, t, _CELLS, height // _CELLS, _CELLS, width // _CELLS, 3
  )
  levels = cells.mean(axis=(3, 5, 6), dtype=np.float64) / 255
  levels = levels.reshape(n, t, _CELLS**2)
  return levels - levels[:, :1]


METRICS = (
  *label_accuracy.accuracy_metrics(
    "pixel_label_accuracy",
    "label accuracy, pixels",
    "pixel_label_classifier",
    "pixel_curves",
  ),
)

"""How like the truth generated frames are."""

import numpy as np
from jaxtyping import UInt8
from skimage.metrics import structural_similarity


def ssim(
  frames: UInt8[np.ndarray, "t h w 3"], truth: UInt8[np.ndarray, "t h w 3"]
) -> float:
  """SSIM (Wang 2004), the mean over frames and channels; 1 is equality.

  A Gaussian window of deviation 1.5, population covariance, range 255. Quote it
  beside the same number for the neutral frame repeated.
  """
  return float(
    np.mean(
      [
        structural_similarity(
          frame,
          true,
          channel_axis=-1,
          data_range=255,
          gaussian_weights=True,
          sigma=1.5,
          use_sample_covariance=False,
        )
        for frame, true in zip(frames, truth, strict=True)
      ]
    )
  )

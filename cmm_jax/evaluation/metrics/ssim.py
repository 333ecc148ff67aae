"""SSIM: the structural similarity of generated and original frames."""

import numpy as np
from jaxtyping import Float, UInt8
from skimage.metrics import structural_similarity

from cmm_jax.evaluation.metrics.metric import MODES, QUALITY, Metric


def frame_ssim(
  frames: UInt8[np.ndarray, "t h w 3"], truth: UInt8[np.ndarray, "t h w 3"]
) -> Float[np.ndarray, " t"]:
  """SSIM of each frame (Wang et al. 2004), the mean over channels; 1 is best.

  Uses a Gaussian window with standard deviation 1.5, population covariance and
  the range 0 to 255. Report it beside the SSIM of the static baseline.
  """
  return np.array(
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


METRICS = (
  Metric(
    name="ssim",
    heading="SSIM",
    better="higher",
    tables=(QUALITY,),
    needs=("ssim",),
    against_originals=True,
    per_clip=lambda model, originals: model.ssim.mean(axis=1),
  ),
  Metric(
    name="ssim_last_8",
    heading="SSIM, last 8 frames",
    better="higher",
    tables=(QUALITY, MODES),
    needs=("ssim_last_frames",),
    against_originals=True,
    per_clip=lambda model, originals: model.ssim_last_frames.mean(axis=1),
  ),
  Metric(
    name="ssim_last_8_nearest_mode",
    heading="SSIM, last 8 frames, nearest mode",
    better="higher",
    tables=(MODES,),
    needs=("ssim_of_modes",),
    against_originals=True,
    per_clip=lambda model, originals: model.ssim_of_modes.mean(axis=2).max(
      axis=1
    ),
  ),
)

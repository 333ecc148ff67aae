"""Videos of generated smiles and original clips, for OpenFace and for people.

Worker processes import this module, so it does not import JAX.
"""

import os

import numpy as np
from jaxtyping import UInt8

from cmm_jax import video
from cmm_jax.smiles import FRAMES_PER_SECOND

_UPSCALING = 4  # frames of 64 pixels are too small for both


def write(
  file: str | os.PathLike,
  frames: UInt8[np.ndarray, "t h w 3"],
  generated: bool,
) -> None:
  """Writes an MP4 of upscaled frames.

  Args:
    file: to write.
    frames: RGB, 0 to 255.
    generated: whether the file says that it was never filmed.

  Raises:
    OSError: the file cannot be written.
  """
  video.write_mp4(
    file,
    video.upscale(frames, _UPSCALING),
    FRAMES_PER_SECOND,
    generated=generated,
  )

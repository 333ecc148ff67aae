"""Action units of the written videos, from OpenFace's tables."""

import os
from collections.abc import Iterable

import numpy as np
from etils import epath
from jaxtyping import Float

from cmm_jax.preprocess import action_units, decode
from cmm_jax.smiles import FRAMES_PER_SECOND


def read(
  tables: os.PathLike | str, videos: os.PathLike | str, clips: Iterable[str]
) -> Float[np.ndarray, "n t 2"]:
  """AU06 and AU12 of one model's videos.

  Args:
    tables: the folder with OpenFace's table <clip>.csv of every video.
    videos: the folder with the videos <clip>.mp4.
    clips: the names of the clips.

  Raises:
    FileNotFoundError: a video or its table is missing.
    ValueError: a table cannot be used.
  """
  units = []
  for clip in clips:
    video = epath.Path(videos) / f"{clip}.mp4"
    if not video.exists():
      raise FileNotFoundError(
        f"The video {str(video)!r} does not exist: run this command once "
        "without --openface, then OpenFace on the videos that it writes."
      )
    table = action_units.OpenFaceTable(epath.Path(tables) / f"{clip}.csv")
    units.append(
      action_units.interpolate_gaps(
        table.read(decode.open_video(video)),
        1 / FRAMES_PER_SECOND,
        source=str(video),
      )
    )
  return np.stack(units)

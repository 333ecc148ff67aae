"""Preprocesses many videos; a failed one does not stop the others.

Beside a dataset lies the folder of its preprocessing:

  detections/<video>.npz   detected faces, which make preprocessing again fast
  <config>/                the results (results.py)
"""

import concurrent.futures
import dataclasses
import errno
from collections.abc import Callable, Iterable, Iterator

import joblib
from etils import epath

from cmm_jax.preprocess import pipeline, preview, segment
from cmm_jax.preprocess.clip import Clip, Settings, SourceVideo
from cmm_jax.preprocess.results import FAILED, NO_SMILE, Results, file_name

# Errors of the disk that is written to, not of a video.
_DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class Preprocessor:
  """Preprocesses videos, in any process, and saves the results.

  Attributes:
    settings: how to preprocess the videos.
    folder: of the dataset's preprocessing.
    config: the name of the dataset's config, a folder in it.
  """

  settings: Settings
  folder: epath.Path
  config: str

  @property
  def results(self) -> Results:
    """The results for this config."""
    return Results(self.folder / self.config)

  def __call__(self, source: SourceVideo) -> list[Clip]:
    """The clips of a video; none if it cannot be used, and the reason is saved.

    Raises:
      OSError: the disk is full or read-only.
    """
    detections = self.folder / "detections" / f"{file_name(source.key)}.npz"
    try:
      clips = pipeline.preprocess_video(source, self.settings, detections)
      for clip in clips:
        png = preview.render(clip, self.settings.thresholds)
        self.results.save_preview(clip, png)
    except segment.NoSmileError as error:
      self.results.save(source, [], NO_SMILE, str(error))
      return []
    except (ValueError, OSError) as error:
      if getattr(error, "errno", None) in _DISK_ERRORS:
        raise
      self.results.save(source, [], FAILED, str(error))
      return []
    self.results.save(source, clips)
    return clips


def run(
  preprocess: Callable[[SourceVideo], list[Clip]],
  sources: Iterable[SourceVideo],
  workers: int,
) -> Iterator[Clip]:
  """Preprocesses videos in parallel and yields their clips in order.

  Args:
    preprocess: makes the clips of one video; can be pickled.
    sources: the videos.
    workers: the number of processes; 1 uses this process, 0 means one per
      processor.

  Raises:
    RuntimeError: a worker process was killed.
  """
  # joblib's processes do not inherit what this one has imported, TensorFlow for
  # example, and are reused for the next split.
  parallel = joblib.Parallel(
    n_jobs=workers or -1,
    batch_size=1,
    pre_dispatch="2*n_jobs",  # bounds the number of clips in memory
    return_as="generator",
  )
  try:
    for clips in parallel(joblib.delayed(preprocess)(one) for one in sources):
      yield from clips
  except concurrent.futures.process.BrokenProcessPool as error:
    raise RuntimeError(
      "A worker process was killed, perhaps for lack of memory: build again "
      "with fewer workers. Faces already detected are reused."
    ) from error

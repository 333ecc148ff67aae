"""What all builders share: the features and the deterministic writer."""

import contextlib
import errno
import os
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.proto import tf_example_pb2

from cmm_jax import folder_lock
from cmm_jax.data import fingerprints

NUM_FRAMES = 32  # T, section 4.1


def features(
  size: int, labels: Sequence[str] | None
) -> tfds.features.FeaturesDict:
  """The features of an example, the same for all datasets.

  Args:
    size: height and width of the frames in pixels.
    labels: the kinds of expression; None if the user's folders name them.
  """
  return tfds.features.FeaturesDict(
    {
      "frames": tfds.features.Tensor(
        shape=(NUM_FRAMES, size, size, 3),
        dtype=np.uint8,
        encoding=tfds.features.Encoding.ZLIB,
        doc="Aligned face, neutral first.",
      ),
      "landmarks": tfds.features.Tensor(
        shape=(NUM_FRAMES, 68, 2),
        dtype=np.float32,
        doc="(x, y) in pixels of the frames.",
      ),
      "action_units": tfds.features.Tensor(
        shape=(NUM_FRAMES, 2),
        dtype=np.float32,
        doc="AU06 and AU12, 0 to 5.",
      ),
      "action_units_source": tfds.features.Text(
        doc="Where the action units come from."
      ),
      "label": tfds.features.ClassLabel(
        names=list(labels) if labels is not None else None
      ),
      "subject": tfds.features.Text(doc="Identity."),
      "clip": tfds.features.Text(doc="Stable key."),
    }
  )


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Writes array records, which can be read without TensorFlow.

  The files' fingerprints are written beside them.
  """

  def __init__(self, *, file_format=None, **kwargs):
    super().__init__(file_format=file_format or "array_record", **kwargs)

  def download_and_prepare(self, **kwargs) -> None:
    """As in TFDS, but two commands never write the same dataset.

    Raises:
      FolderInUseError: another process writes it.
      OSError: the disk is full; nothing is left of what was written.
    """
    folder = epath.Path(self.data_dir)
    config = kwargs.get("download_config")
    overwrite = config and config.download_mode.overwrite_dataset
    writes = overwrite or not folder.exists()
    with (
      folder_lock.hold(folder.parent) if writes else contextlib.nullcontext()
    ):
      try:
        super().download_and_prepare(**kwargs)
        if writes:
          fingerprints.write(folder)
      except RuntimeError as error:  # the writer of array records
        full = os.strerror(errno.ENOSPC)
        if full not in str(error):
          raise
        raise OSError(
          f"{self.name} cannot be written to {str(folder.parent)!r} ({full}): "
          "free some space and build it again."
        ) from error

  def _example_writer(self):
    return _DeterministicWriter(file_format=self.info.file_format)


class _DeterministicWriter(tfds.core.ExampleWriter):
  """Serializes equal examples to equal bytes.

  The features of an example are a map, which protobuf serializes in arbitrary
  order unless told otherwise.
  """

  def write(self, path, examples):
    def serialized():
      for key, example in examples:
        message = tf_example_pb2.Example.FromString(example)
        yield key, message.SerializeToString(deterministic=True)

    return super().write(path, serialized())

"""Datasets of which some are odd in what they hold."""

import miniature
import numpy as np

from tfds_builders import face_clips


class Fingerprinted(face_clips.ClipBuilder):
  """The miniature dataset, as our builders write theirs."""

  VERSION = miniature.Miniature.VERSION
  _info = miniature.Miniature._info
  _split_generators = miniature.Miniature._split_generators
  _generate_examples = miniature.Miniature._generate_examples


class OtherPeople(Fingerprinted):
  """The same of other people."""

  def _generate_examples(self, subjects):
    yield from super()._generate_examples([8 + number for number in subjects])


class ConstantFrames(miniature.Miniature):
  """Every frame of every clip is the same gray, and nobody moves."""

  def _generate_examples(self, subjects):
    for key, clip in super()._generate_examples(subjects):
      clip["frames"] = np.full_like(clip["frames"], 128)
      clip["landmarks"] = np.repeat(
        clip["landmarks"][:1], len(clip["frames"]), 0
      )
      clip["action_units"] = np.zeros_like(clip["action_units"])
      yield key, clip


class OneIdentity(miniature.Miniature):
  """All clips, of all splits, are of one person."""

  def _generate_examples(self, subjects):
    for key, clip in super()._generate_examples(subjects):
      yield key, clip | {"subject": "subject_0"}


class OneLabel(miniature.Miniature):
  """No clip has the second label."""

  def _generate_examples(self, subjects):
    for key, clip in super()._generate_examples(subjects):
      yield key, clip | {"label": 0}


class OneClip(miniature.Miniature):
  """Each split has one clip."""

  def _generate_examples(self, subjects):
    yield next(iter(super()._generate_examples(subjects)))


class NotFinite(miniature.Miniature):
  """Landmarks of one clip are not a number."""

  def _generate_examples(self, subjects):
    for number, (key, clip) in enumerate(super()._generate_examples(subjects)):
      if number == 5:
        clip["landmarks"] = np.full_like(clip["landmarks"], np.nan)
      yield key, clip


ALL = {
  "constant_frames": ConstantFrames,
  "one_identity": OneIdentity,
  "one_label": OneLabel,
  "one_clip": OneClip,
  "not_finite": NotFinite,
}

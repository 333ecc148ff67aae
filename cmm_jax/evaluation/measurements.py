"""What the metrics read from a model's smiles, computed once at first use."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from cmm_jax.evaluation.extractors import Extractors
from cmm_jax.evaluation.metrics import (
  classifiers,
  label_accuracy,
  pixel_label_accuracy,
)
from cmm_jax.evaluation.metrics.landmarks import face_box
from cmm_jax.evaluation.metrics.metric import LAST_FRAMES

# The frames, evenly spaced, that slow networks read of each video.
_CLASSIFIED_FRAMES = 8
_RECOGNIZED_FRAMES = 3  # of the second half
_LANDMARK_STRIDE = 2
_DRIFT_STRIDE = 5  # two of these frames are recognized anyway


class Measurements:
  """Everything the metrics read from one model's smiles.

  All attributes are lazy. Those that a model cannot have, such as the modes of
  a baseline, are None. In shapes, n is the number of clips and s that of
  sequences generated for each.
  """

  def __init__(
    self,
    clips: Sequence[Mapping[str, Any]],
    videos: UInt8[np.ndarray, "n t h w 3"],
    extractors: Extractors,
    *,
    sequences: UInt8[np.ndarray, "n s t h w 3"] | None = None,
    landmark_images: UInt8[np.ndarray, "n s t h w"] | None = None,
    alternatives: Mapping[int, Any] | None = None,
    action_units: Callable[[], Float[np.ndarray, "n t 2"]] | None = None,
    label_classifier: Callable[[], Any] | None = None,
    pixel_label_classifier: Callable[[], Any] | None = None,
    reconstruct: Callable[[Any], Any] | None = None,
    variant: bool = False,
  ):
    """Stores the smiles; nothing is measured yet.

    Args:
      clips: the original examples.
      videos: one video for each clip, the one that the paper's tables compare.
      extractors: the networks that measure.
      sequences: all sequences of each clip, with `videos` as the first.
      landmark_images: of the sequences.
      alternatives: for some clips, the index into `sequences` of smiles that
        the same face could show.
      action_units: returns the action units of the videos from another source
        than the run's regressor.
      label_classifier: returns the trained `LabelClassifier`.
      pixel_label_classifier: returns the one of `pixel_curves`.
      reconstruct: maps landmark images to what the run's VAE makes of them.
      variant: whether the model is a variant of the modes' losses.
    """
    self.clips = clips
    self.videos = videos
    self.extractors = extractors
    self.sequences = videos[:, None] if sequences is None else sequences
    self.alternatives = alternatives or None
    self.variant = variant
    self.landmark_images = landmark_images
    self._reconstruct = reconstruct
    self._action_units = action_units
    self._label_classifier = label_classifier
    self._pixel_label_classifier = pixel_label_classifier

  # What is known of the clips.

  @functools.cached_property
  def labels(self) -> Int[np.ndarray, " n"]:
    """The label of each clip, which its smiles are conditioned on."""
    return np.array([clip["label"] for clip in self.clips])

  @functools.cached_property
  def true_landmarks(self) -> Float[np.ndarray, "n f 68 2"]:
    """The clips' landmarks in the frames of `landmarks`."""
    return np.stack([c["landmarks"][::_LANDMARK_STRIDE] for c in self.clips])

  @functools.cached_property
  def true_action_units(self) -> Float[np.ndarray, "n t 2"]:
    """The clips' action units."""
    return np.stack([clip["action_units"] for clip in self.clips])

  # Read from the videos.

  @functools.cached_property
  def action_units(self) -> Float[np.ndarray, "n t 2"]:
    """AU06 and AU12, by OpenFace if it is used, else by the regressor."""
    if self._action_units is not None:
      return self._action_units()
    return self.regressed_action_units

  @functools.cached_property
  def regressed_action_units(self) -> Float[np.ndarray, "n t 2"]:
    """AU06 and AU12 by the run's regressor."""
    return self.extractors.regressors.action_units(
      self.videos, self._first_frames
    )

  @functools.cached_property
  def landmarks(self) -> Float[np.ndarray, "n f 68 2"]:
    """dlib's landmarks of every second frame, in pixels."""
    boxes = np.stack([face_box(clip["landmarks"][0]) for clip in self.clips])
    return self.extractors.landmarks(self.videos[:, ::_LANDMARK_STRIDE], boxes)

  @functools.cached_property
  def movement_curves(self) -> Float[np.ndarray, "n f c"]:
    """The input of the label classifier.

    Its action units are always the regressor's, which also reads the training
    clips.
    """
    return label_accuracy.movement_curves(
      self.landmarks, self.regressed_action_units[:, ::_LANDMARK_STRIDE]
    )

  @property
  def label_classifier(self) -> label_accuracy.LabelClassifier:
    """Trained on training clips, whose curves are measured in the same way."""
    return self._label_classifier()

  @functools.cached_property
  def pixel_curves(self) -> Float[np.ndarray, "n f c"]:
    """The input of the label classifier that reads pixels."""
    return pixel_label_accuracy.pixel_curves(self.videos[:, ::_LANDMARK_STRIDE])

  @property
  def pixel_label_classifier(self) -> label_accuracy.LabelClassifier:
    """Trained on the same clips as `label_classifier`."""
    return self._pixel_label_classifier()

  @functools.cached_property
  def predictions(self) -> classifiers.Predictions:
    """The image classifier's predictions for some frames of each video."""
    last = self.videos.shape[1] - 1
    frames = np.rint(np.linspace(0, last, _CLASSIFIED_FRAMES)).astype(int)
    return self.extractors.predictions(self.videos[:, frames])

  @functools.cached_property
  def embeddings(self) -> Float[np.ndarray, "n f 128"]:
    """The face recognizer's embeddings of some frames.

    All frames use the landmarks of the first, because faces are aligned and
    baselines generate no landmarks.
    """
    frames = self._recognized
    points = self._landmarks_of_clips([0] * len(frames))
    return self.extractors.embeddings(self.videos[:, frames], points)

  @functools.cached_property
  def aligned_embeddings(self) -> Float[np.ndarray, "n f 128"]:
    """As `embeddings` of the originals, by each frame's own landmarks."""
    frames = self._recognized
    points = self._landmarks_of_clips(frames)
    return self.extractors.embeddings(self.videos[:, frames], points)

  @functools.cached_property
  def first_frame_embeddings(self) -> Float[np.ndarray, "n 128"]:
    """The embedding of each clip's neutral face."""
    points = self._landmarks_of_clips([0])
    return self.extractors.embeddings(self._first_frames[:, None], points)[:, 0]

  @functools.cached_property
  def embeddings_over_time(self) -> Float[np.ndarray, "n f 128"]:
    """As `embeddings`, of every fifth frame up to the last."""
    last = self.videos.shape[1] - 1
    frames = np.arange(last, -1, -_DRIFT_STRIDE)[::-1]
    points = self._landmarks_of_clips([0] * len(frames))
    return self.extractors.embeddings(self.videos[:, frames], points)

  @functools.cached_property
  def ssim(self) -> Float[np.ndarray, "n t"]:
    """SSIM of every frame to the original's."""
    before = slice(0, LAST_FRAMES.start)
    earlier = self.extractors.ssim(
      self.videos[:, before], self._true_frames[:, before]
    )
    return np.concatenate([earlier, self.ssim_last_frames], axis=1)

  @functools.cached_property
  def ssim_last_frames(self) -> Float[np.ndarray, "n 8"]:
    """SSIM of the last frames to the original's."""
    return self.extractors.ssim(
      self.videos[:, LAST_FRAMES], self._true_frames[:, LAST_FRAMES]
    )

  # Read from all sequences.

  @functools.cached_property
  def ssim_of_modes(self) -> Float[np.ndarray, "n k 8"] | None:
    """SSIM of the modes' last frames to the original's."""
    modes = self.sequences[:, 1:, LAST_FRAMES]
    if not modes.shape[1]:
      return None
    truth = self._true_frames[:, None, LAST_FRAMES]
    values = self.extractors.ssim(
      modes.reshape(-1, *modes.shape[2:]),
      np.broadcast_to(truth, modes.shape).reshape(-1, *modes.shape[2:]),
    )
    return values.reshape(modes.shape[:3])

  @functools.cached_property
  def points(self) -> Float[np.ndarray, "n s t 68 2"] | None:
    """The landmarks of all sequences, read from their landmark images."""
    if self.landmark_images is None:
      return None
    return self.extractors.regressors.landmarks(self.landmark_images)

  @property
  def points_of_modes(self) -> Float[np.ndarray, "n k t 68 2"] | None:
    """The landmarks of the modes."""
    if self.points is None or self.points.shape[1] == 1:
      return None
    return self.points[:, 1:]

  @property
  def landmark_images_of_modes(self) -> UInt8[np.ndarray, "n k t h w"] | None:
    """The modes' landmark images."""
    images = self.landmark_images
    return None if images is None or images.shape[1] == 1 else images[:, 1:]

  @functools.cached_property
  def reconstructed_images(self) -> UInt8[np.ndarray, "n 8 h w"] | None:
    """The last landmark images through the VAE, of the originals alone."""
    if self._reconstruct is None:
      return None
    return self._reconstruct(self.landmark_images[:, 0, LAST_FRAMES])

  @functools.cached_property
  def movement_curves_of_modes(self) -> Float[np.ndarray, "n k f c"] | None:
    """As `movement_curves`."""
    modes = self.sequences[:, 1:, ::_LANDMARK_STRIDE]
    count = modes.shape[1]
    if not count:
      return None
    boxes = np.stack([face_box(clip["landmarks"][0]) for clip in self.clips])
    points = self.extractors.landmarks(
      modes.reshape(-1, *modes.shape[2:]), np.repeat(boxes, count, axis=0)
    )
    units = self.regressed_action_units_of_modes[:, :, ::_LANDMARK_STRIDE]
    curves = label_accuracy.movement_curves(
      points, units.reshape(-1, *units.shape[2:])
    )
    return curves.reshape(*modes.shape[:2], *curves.shape[1:])

  @functools.cached_property
  def pixel_curves_of_modes(self) -> Float[np.ndarray, "n k f c"] | None:
    """As `pixel_curves`."""
    modes = self.sequences[:, 1:, ::_LANDMARK_STRIDE]
    if not modes.shape[1]:
      return None
    curves = pixel_label_accuracy.pixel_curves(
      modes.reshape(-1, *modes.shape[2:])
    )
    return curves.reshape(*modes.shape[:2], *curves.shape[1:])

  @functools.cached_property
  def regressed_action_units_of_modes(self) -> Float[np.ndarray, "n k t 2"]:
    """AU06 and AU12 of the modes by the run's regressor."""
    modes = self.sequences[:, 1:]
    neutral = np.repeat(self._first_frames[:, None], modes.shape[1], axis=1)
    return self.extractors.regressors.action_units(modes, neutral)

  def over_alternatives(
    self, function: Callable[[Any, Any], float]
  ) -> Float[np.ndarray, " n"]:
    """Applies a function to the smiles that each face could show.

    Args:
      function: from landmarks [s t 68 2] and frames [s t h w 3] to a value.

    Returns:
      The values, NaN for clips without alternatives.
    """
    values = np.full(len(self.clips), np.nan)
    for clip, index in (self.alternatives or {}).items():
      values[clip] = function(self.points[index], self.sequences[index])
    return values

  @property
  def _true_frames(self):  # not cached: the same for every model
    return np.stack([clip["frames"] for clip in self.clips])

  @property
  def _first_frames(self):
    return self._true_frames[:, 0]

  @property
  def _recognized(self):
    last = self.videos.shape[1] - 1
    frames = np.linspace((last + 1) // 2, last, _RECOGNIZED_FRAMES)
    return np.rint(frames).astype(int)

  def _landmarks_of_clips(self, frames):
    return np.stack([clip["landmarks"][frames] for clip in self.clips])

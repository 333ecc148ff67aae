"""The networks that measure smiles, each loaded at its first use."""

import functools

import numpy as np
from jaxtyping import Float, Int, UInt8

from cmm_jax.evaluation import batches
from cmm_jax.evaluation.metrics import (
  autoencoder,
  classifiers,
  identity,
  landmarks,
  lpips,
  regressors,
  ssim,
)

# The numbers of frames from which several processes are faster.
_MIN_EMBEDDED, _MIN_PREDICTED, _MIN_COMPARED = 64, 512, 512


class Extractors:
  """The networks that measure the smiles of one run.

  Equal frames are measured once.
  """

  def __init__(self, workdir: str, inception_v3: str | None = None):
    """Selects the networks.

    Args:
      workdir: of the run, whose regressors are used.
      inception_v3: a file of torchvision's state dict, for IS and FID. By
        default, EfficientNet-Lite0 is used.
    """
    self._workdir = workdir
    self._inception_v3 = inception_v3

  @functools.cached_property
  def regressors(self) -> regressors.Regressors:
    """The run's own."""
    return regressors.Regressors(self._workdir)

  @functools.cached_property
  def autoencoder(self) -> autoencoder.Autoencoder:
    """The run's own VAE."""
    return autoencoder.Autoencoder(self._workdir)

  @functools.cached_property
  def lpips(self) -> lpips.Lpips:
    """LPIPS."""
    return lpips.Lpips()

  @functools.cached_property
  def classifier(self) -> classifiers.Classifier:
    """The image classifier for IS and FID."""
    if self._inception_v3:
      return classifiers.inception_v3_from(self._inception_v3)
    return classifiers.efficientnet_lite0()

  def predictions(
    self, frames: UInt8[np.ndarray, "n s h w 3"]
  ) -> classifiers.Predictions:
    """The classifier's predictions for frames."""
    probabilities, features = self._classify(_flatten(frames))
    shape = frames.shape[:2]
    return classifiers.Predictions(
      self.classifier.name,
      probabilities.reshape(*shape, -1),
      features.reshape(*shape, -1),
    )

  def landmarks(
    self,
    frames: UInt8[np.ndarray, "n s h w 3"],
    boxes: Int[np.ndarray, "n 4"],
  ) -> Float[np.ndarray, "n s 68 2"]:
    """dlib's landmarks of the face in each video's box, in pixels."""
    boxes = np.broadcast_to(boxes[:, None], (*frames.shape[:2], 4))
    points = self._predict_landmarks(_flatten(frames), _flatten(boxes))
    return points.reshape(*frames.shape[:2], 68, 2)

  def embeddings(
    self,
    frames: UInt8[np.ndarray, "n s h w 3"],
    points: Float[np.ndarray, "n s 68 2"],
  ) -> Float[np.ndarray, "n s 128"]:
    """The face recognizer's embeddings, given the landmarks in pixels."""
    embeddings = self._embed(_flatten(frames), _flatten(points))
    return embeddings.reshape(*frames.shape[:2], -1)

  def ssim(
    self,
    frames: UInt8[np.ndarray, "n s h w 3"],
    truth: UInt8[np.ndarray, "n s h w 3"],
  ) -> Float[np.ndarray, "n s"]:
    """SSIM of frames to the true ones."""
    values = batches.apply_in_processes(
      ssim.frame_ssim,
      _flatten(frames),
      _flatten(truth),
      min_examples=_MIN_COMPARED,
    )
    return values.reshape(frames.shape[:2])

  @functools.cached_property
  def _classify(self):
    def classify(images):
      predictions = self.classifier(images)
      return predictions.probabilities, predictions.features

    return batches.Memoized(classify)

  @functools.cached_property
  def _predict_landmarks(self):
    return batches.Memoized(
      functools.partial(
        batches.apply_in_processes,
        landmarks.predict,
        min_examples=_MIN_PREDICTED,
      )
    )

  @functools.cached_property
  def _embed(self):
    return batches.Memoized(
      functools.partial(
        batches.apply_in_processes, identity.embed, min_examples=_MIN_EMBEDDED
      )
    )


def _flatten(x):
  """[n s ...] to [n*s ...]."""
  return x.reshape(-1, *x.shape[2:])

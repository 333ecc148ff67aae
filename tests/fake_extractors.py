"""Clips and networks for evaluation whose measurements can be worked by hand.

The first pixel of a frame tells what the networks read from it: its red value
the number of pixels by which the mouth is widened, its green value the
intensity of both action units.
"""

import numpy as np

from cmm_jax.evaluation.metrics import classifiers, ssim

SIZE = 64
_GREEN_OF_ZERO, _GREEN_PER_INTENSITY = 50, 40


def face():
  """The landmarks [68, 2] of a face whose mouth corners can move."""
  points = np.random.default_rng(0).uniform(20, 44, (68, 2))
  points[[36, 45]] = (20, 25), (44, 25)  # the outer eye corners
  points[[48, 54]] = (30, 45), (34, 45)  # the mouth corners
  return points.astype(np.float32)


def mark(frames, widened, intensity):
  """Frames [t h w 3] that the networks read as told, for each frame."""
  frames = frames.copy()
  frames[:, 0, 0, 0] = widened
  green = _GREEN_OF_ZERO + _GREEN_PER_INTENSITY * np.asarray(intensity)
  frames[:, 0, 0, 1] = np.rint(green)
  return frames


class Extractors:
  """The networks, of which the regressors are a part.

  Args:
    landmarks: the landmarks [i 68 2] of landmark images, of which the one in
      the first pixel's row is meant.
  """

  def __init__(self, landmarks=None):
    self._landmarks = landmarks
    self.regressors, self.lpips = self, Lpips()

  def predictions(self, frames):
    """Recognizes the brightest channel with more or less confidence."""
    features = frames[:, :, 1:].mean(axis=(2, 3))
    weights = np.exp((features - features.max(axis=-1, keepdims=True)) / 20)
    probabilities = weights / weights.sum(axis=-1, keepdims=True)
    return classifiers.Predictions("brightest channel", probabilities, features)

  def embeddings(self, frames, points):
    """The mean colors of 42 squares."""
    del points
    n, s = frames.shape[:2]
    squares = frames.reshape(n, s, 8, 8, 8, 8, 3).mean(axis=(3, 5))
    return squares.reshape(n, s, -1)[..., :128].astype(np.float32)

  def landmarks(self, frames, boxes=None):
    """Of faces [n s h w 3], or of landmark images."""
    if boxes is None:
      return self._landmarks[frames[..., 0, 0]]
    points = np.tile(face(), (*frames.shape[:2], 1, 1))
    widened = frames[:, :, 0, 0, 0].astype(np.float32)
    points[:, :, 48, 0] -= widened
    points[:, :, 54, 0] += widened
    return points

  def action_units(self, frames, neutral):
    """AU06 and AU12, which are equal."""
    del neutral
    green = frames[..., 0, 0, 1].astype(np.float32)
    intensity = (green - _GREEN_OF_ZERO) / _GREEN_PER_INTENSITY
    return np.stack([intensity, intensity], axis=-1)

  def autoencoder(self, images):
    """Half as bright."""
    return images // 2

  def ssim(self, frames, truth):
    """The true one."""
    pairs = zip(frames, truth, strict=True)
    return np.stack([ssim.frame_ssim(*pair) for pair in pairs])


class Lpips:
  """The mean difference of brightness."""

  def __call__(self, frames, truth):
    return float(np.abs(frames.astype(float) - truth).mean())

  def diversity(self, samples):
    return float(np.ptp(samples.astype(float), axis=0).mean())

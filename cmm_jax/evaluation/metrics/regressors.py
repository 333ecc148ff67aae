"""The run's own regressors, which read landmarks and action units of images."""

import functools

import jax
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks as geometry
from cmm_jax import runtime, weights
from cmm_jax.evaluation import batches
from cmm_jax.models import registry

_BATCH_SIZE = 256  # images


class Regressors:
  """The networks trained by a run's phase `regressors`."""

  def __init__(self, source: str | None):
    """Loads the weights.

    Args:
      source: the folder of a run, or a file of weights; None for the weights
        that this package ships.

    Raises:
      FileNotFoundError: the phase has not been trained.
    """
    config, labels = weights.read_config(source)
    model = registry.build(config, len(labels))
    names = ("landmark_regressor", "action_unit_regressor")
    trained = jax.device_put(
      weights.read_networks(source, dict.fromkeys(names, "regressors"))
    )
    jit = functools.partial(
      jax.jit, compiler_options=runtime.compiler_options()
    )

    @jit
    def landmarks(trained, images):
      points = model.landmark_regressor.apply(
        trained["landmark_regressor"], images[..., None] / 255.0
      )
      sizes = images.shape[-1], config.data.image_size
      return geometry.rescale(points, *sizes)

    @jit
    def action_units(trained, neutral, faces):
      return model.action_unit_regressor.apply(
        trained["action_unit_regressor"],
        neutral / 127.5 - 1.0,
        faces / 127.5 - 1.0,
      )

    self._landmarks = functools.partial(landmarks, trained)
    self._action_units = functools.partial(action_units, trained)

  def landmarks(
    self, images: UInt8[np.ndarray, "*any h w"]
  ) -> Float[np.ndarray, "*any 68 2"]:
    """The landmarks of landmark images, in pixels of the frames."""
    points = batches.apply_in_batches(
      self._landmarks,
      images.reshape(-1, *images.shape[-2:]),
      batch_size=_BATCH_SIZE,
    )
    return points.reshape(*images.shape[:-2], 68, 2)

  def action_units(
    self,
    frames: UInt8[np.ndarray, "*any t h w 3"],
    neutral: UInt8[np.ndarray, "*any h w 3"],
  ) -> Float[np.ndarray, "*any t 2"]:
    """The intensities of AU06 and AU12 (FACS), about 0 to 5.

    Args:
      frames: of one person in each sequence.
      neutral: the neutral face of the same person.
    """
    neutral = np.broadcast_to(neutral[..., None, :, :, :], frames.shape)
    intensities = batches.apply_in_batches(
      self._action_units,
      neutral.reshape(-1, *frames.shape[-3:]),
      frames.reshape(-1, *frames.shape[-3:]),
      batch_size=_BATCH_SIZE,
    )
    return intensities.reshape(*frames.shape[:-3], 2)

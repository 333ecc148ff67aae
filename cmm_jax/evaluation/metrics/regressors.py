"""Points and action units read back from pictures, by the trained readers."""

import jax
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import checkpoints, runtime
from cmm_jax.models import registry

_AT_ONCE = 256  # pictures; fixed, so that one program serves all


class Reader:
  """The instruments of a run, which its last phase has trained."""

  def __init__(self, workdir: str):
    """Loads them.

    Raises:
      FileNotFoundError: the run has not been trained so far.
    """
    config, labels = checkpoints.read_config(workdir)
    nets = registry.architecture(config, len(labels))
    names = ("landmark_regressor", "action_unit_regressor")
    trained = checkpoints.load_networks(
      workdir, dict.fromkeys(names, "regressors")
    )
    self._networks = jax.device_put(trained)
    compiled = {"compiler_options": runtime.compiler_options()}

    def points(networks, drawings):
      drawings = drawings[..., None] / 255.0
      return nets.landmark_regressor.apply(
        networks["landmark_regressor"], drawings
      )

    def units(networks, neutral, faces):
      return nets.action_unit_regressor.apply(
        networks["action_unit_regressor"],
        neutral / 127.5 - 1.0,
        faces / 127.5 - 1.0,
      )

    self._points, self._units = (
      jax.jit(points, **compiled),
      jax.jit(units, **compiled),
    )

  def points(
    self, drawings: UInt8[np.ndarray, "*any h w"]
  ) -> Float[np.ndarray, "*any 68 2"]:
    """The landmarks, in pixels."""
    return self._in_parts(self._points, 2, drawings)

  def action_units(
    self,
    frames: UInt8[np.ndarray, "*any t h w 3"],
    neutral: UInt8[np.ndarray, "*any h w 3"],
  ) -> Float[np.ndarray, "*any t 2"]:
    """AU06 and AU12, meant to lie in 0 ... 5.

    Args:
      frames: of one person in each sequence.
      neutral: the same person's neutral face.
    """
    neutral = np.broadcast_to(neutral[..., None, :, :, :], frames.shape)
    return self._in_parts(self._units, 3, neutral, frames)

  def _in_parts(self, read, dims, *pictures):
    """Reads any number of pictures, `_AT_ONCE` at a time."""
    batch = pictures[0].shape[:-dims]
    flat = [p.reshape(-1, *p.shape[-dims:]) for p in pictures]
    found = []
    for start in range(0, len(flat[0]), _AT_ONCE):
      part = [p[start : start + _AT_ONCE] for p in flat]
      number = len(part[0])
      fill = [(0, _AT_ONCE - number)] + [(0, 0)] * dims
      part = [np.pad(p, fill) for p in part]
      found.append(np.asarray(read(self._networks, *part))[:number])
    found = np.concatenate(found)
    return found.reshape(*batch, *found.shape[1:])

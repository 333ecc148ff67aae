"""The run's own VAE, which bounds how sharp a landmark image can be."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from cmm_jax import runtime, weights
from cmm_jax.evaluation import batches
from cmm_jax.models import registry

_BATCH_SIZE = 64  # images


class Autoencoder:
  """CMM-Net's VAE as the translator uses it: after the phase `modes`."""

  def __init__(self, source: str | None):
    """Loads the weights.

    Args:
      source: the folder of a run, or a file of weights; None for the weights
        that this package ships.

    Raises:
      FileNotFoundError: the phase has not been trained.
    """
    config, labels = weights.read_config(source)
    vae = registry.build(config, len(labels)).vae
    trained = jax.device_put(weights.read_networks(source, {"vae": "modes"}))

    @functools.partial(jax.jit, compiler_options=runtime.compiler_options())
    def reconstruct(trained, images):
      images = images[..., None].astype(jnp.float32) / 255
      mean, _ = vae.apply(trained["vae"], images, method="encode")
      decoded = nn.sigmoid(vae.apply(trained["vae"], mean, method="decode"))
      return jnp.rint(255 * decoded[..., 0]).astype(jnp.uint8)

    self._reconstruct = functools.partial(reconstruct, trained)

  def __call__(
    self, images: UInt8[np.ndarray, "*any h w"]
  ) -> UInt8[np.ndarray, "*any h w"]:
    """Landmark images, encoded to the posterior's mean and decoded."""
    size = images.shape[-2:]
    made = batches.apply_in_batches(
      self._reconstruct, images.reshape(-1, *size), batch_size=_BATCH_SIZE
    )
    return made.reshape(images.shape)

"""Phase 4 (section 3.4): from landmark images to faces."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cmm_jax import losses
from cmm_jax.models.base import (
  apply,
  gan_losses,
  merge_batch_and_time,
  to_signed_range,
)
from cmm_jax.models.recurrent_generator import RecurrentGenerator
from cmm_jax.networks import translator


@dataclasses.dataclass(frozen=True)
class TranslatorObjective:
  """What trains the translator and its discriminator.

  Attributes:
    translator: makes faces.
    discriminator: on pairs of a neutral face and a face.
    generator: its VAE decodes landmark images as they are in use.
  """

  translator: translator.Translator
  discriminator: translator.Discriminator
  generator: RecurrentGenerator

  def loss(self, loss_config, networks, batch):
    """The loss of phase 4: L1 (eq. 4) and adversarial (eq. 5 and 6)."""
    neutral, faces = face_pairs(batch)
    images = mixed_landmark_images(self.generator, loss_config, networks, batch)
    fakes, updated = apply(
      self.translator, networks["translator"], neutral, images, train=True
    )
    metrics, discriminator_statistics = gan_losses(
      self.discriminator,
      networks["discriminator"],
      (neutral, faces),
      (neutral, fakes.faces),
    )
    l1 = losses.reconstruction_l1(fakes.faces, faces)
    loss = loss_config.l1 * l1 + metrics["adversarial"]
    loss = loss + metrics["discriminator"]
    statistics = {
      "translator": updated["batch_stats"],
      "discriminator": discriminator_statistics,
    }
    return loss, ({"l1": l1, **metrics}, statistics)

  def visualize(self, loss_config, networks, batch):
    """Neutral face, landmark image, generated face and true face."""
    neutral, faces = face_pairs(batch)
    images = mixed_landmark_images(self.generator, loss_config, networks, batch)
    fakes = self.translator.apply(networks["translator"], neutral, images)
    images = jnp.broadcast_to(2 * images - 1, neutral.shape)
    rows = jnp.stack([neutral, images, fakes.faces, faces])[:, :16]
    return {"neutral_landmarks_generated_true": rows / 2 + 0.5}


def mixed_landmark_images(generator, loss_config, networks, batch):
  """True landmark images, a share of them as the VAE decodes them (ours).

  A translator trained on true ones alone never sees what it is given in use.
  """
  images = generator.image_kind.sampled_frames(batch)
  keys = jax.vmap(jax.random.key)(batch["seed"])
  use_decoded = jax.vmap(
    lambda key: jax.random.bernoulli(
      jax.random.fold_in(key, 1), loss_config.decoded_share, images.shape[1:2]
    )
  )(keys)
  mean, _ = generator.vae.apply(
    networks["vae"], merge_batch_and_time(images), method="encode"
  )
  decoded = nn.sigmoid(generator.decode(networks, mean)).reshape(images.shape)
  mixed = jnp.where(use_decoded[..., None, None, None], decoded, images)
  return merge_batch_and_time(lax.stop_gradient(mixed))


def face_pairs(batch):
  """Each sampled frame's neutral face and its own, [b*f h w 3] in [-1, 1]."""
  faces = to_signed_range(batch["frames"])
  neutral = to_signed_range(batch["first_frame"])[:, None]
  neutral = jnp.broadcast_to(neutral, faces.shape)
  return merge_batch_and_time(neutral), merge_batch_and_time(faces)

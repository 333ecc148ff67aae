"""Phase 4 (section 3.4): from landmark images to faces."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cmm_jax import losses
from cmm_jax.models.base import (
  apply,
  merge_batch_and_time,
  play,
  to_signed_range,
)
from cmm_jax.models.landmark_generator import RecurrentGenerator
from cmm_jax.networks import translator


@dataclasses.dataclass(frozen=True)
class Translation:
  """The translator and its judge, beside the VAE that it is used with."""

  translator: translator.Translator
  discriminator: translator.Discriminator
  sequences: RecurrentGenerator

  def loss(self, weight, networks, batch):
    """Phase 4's."""
    neutral, faces = face_pairs(batch)
    drawn = mixed_landmark_images(self.sequences, weight, networks, batch)
    fakes, translator_new = apply(
      self.translator, networks["translator"], neutral, drawn, train=True
    )

    terms, judged = play(
      self.discriminator,
      networks["discriminator"],
      (neutral, faces),
      (neutral, fakes),
    )
    l1 = losses.reconstruction_l1(fakes, faces)
    loss = weight.l1 * l1 + terms["adversarial"] + terms["discriminator"]
    statistics = {
      "translator": translator_new["batch_stats"],
      "discriminator": judged,
    }
    return loss, ({"l1": l1, **terms}, statistics)

  def show(self, weight, networks, batch):
    """The neutral face, the landmark_image, what is made of both, and the truth."""
    neutral, faces = face_pairs(batch)
    drawn = mixed_landmark_images(self.sequences, weight, networks, batch)
    fakes = self.translator.apply(networks["translator"], neutral, drawn)
    drawn = jnp.broadcast_to(2 * drawn - 1, neutral.shape)
    rows = jnp.stack([neutral, drawn, fakes, faces])[:, :16]
    return {"neutral_drawing_generated_true": rows / 2 + 0.5}


def mixed_landmark_images(sequences, weight, networks, batch):
  """Landmark images as they are and as the VAE decodes them (ours): training
  on the true ones alone, the translator never sees what it will be given."""
  images = sequences.pictures.drawn(batch)
  keys = jax.vmap(jax.random.key)(batch["key"])
  chosen = jax.vmap(
    lambda key: jax.random.bernoulli(
      jax.random.fold_in(key, 1), weight.decoded_share, images.shape[1:2]
    )
  )(keys)
  mean, _ = sequences.vae.apply(
    networks["vae"], merge_batch_and_time(images), method="encode"
  )
  decoded = nn.sigmoid(sequences.decode(networks, mean)).reshape(images.shape)
  mixed = jnp.where(chosen[..., None, None, None], decoded, images)
  return merge_batch_and_time(lax.stop_gradient(mixed))


def face_pairs(batch):
  """The neutral face beside each of the clip's drawn frames."""
  faces = to_signed_range(batch["frames"])
  neutral = to_signed_range(batch["first_frame"])[:, None]
  return merge_batch_and_time(
    jnp.broadcast_to(neutral, faces.shape)
  ), merge_batch_and_time(faces)

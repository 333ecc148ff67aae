"""Phase 4 (section 3.4): from landmark images to faces."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cmm_jax import landmarks, losses
from cmm_jax.models.base import (
  apply,
  gan_losses,
  merge_batch_and_time,
  num_sampled_frames,
  to_signed_range,
)
from cmm_jax.models.recurrent_generator import RecurrentGenerator
from cmm_jax.networks import translator

# Of the skin's color around the eyes: the blur's standard deviation as a share
# of the frame, and the share of skin under it from which on it is trusted.
_SKIN_BLUR = 1 / 26
_ENOUGH_SKIN = 0.05


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
    inputs = neutral, *images, self._motion_masks(batch)
    fakes, updated = apply(
      self.translator, networks["translator"], *inputs, train=True
    )
    metrics, discriminator_statistics = gan_losses(
      self.discriminator,
      networks["discriminator"],
      (neutral, faces + self._instance_noise(loss_config, batch, 2)),
      (neutral, fakes.faces + self._instance_noise(loss_config, batch, 3)),
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
    images, rest = mixed_landmark_images(
      self.generator, loss_config, networks, batch
    )
    fakes = self.translator.apply(
      networks["translator"], neutral, images, rest, self._motion_masks(batch)
    )
    shape = (*neutral.shape[:-1], 1)
    images = 2 * jax.image.resize(images, shape, "linear") - 1
    images = jnp.broadcast_to(images, neutral.shape)
    rows = jnp.stack([neutral, images, fakes.faces, faces])[:, :16]
    return {"neutral_landmarks_generated_true": rows / 2 + 0.5}

  def _instance_noise(self, loss_config, batch, number):
    """Noise on what the discriminator sees (ours, after Soenderby et al. 2017).

    Warping averages the camera's noise away. A discriminator that tells fakes
    by that leaves the translator nothing to learn, and wins.
    """
    if not loss_config.instance_noise:
      return jnp.zeros(())
    keys = jax.vmap(jax.random.key)(batch["seed"])
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
    shape = batch["frames"].shape[1:]
    normal = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
    return loss_config.instance_noise * merge_batch_and_time(normal)

  def _motion_masks(self, batch):
    """The masks of the sampled frames, from their clips' neutral frames."""
    masks = landmarks.motion_masks(
      batch["first_points"], self.translator.image_size
    )
    return jnp.repeat(masks, num_sampled_frames(batch), axis=0)


def mixed_landmark_images(generator, loss_config, networks, batch):
  """True landmark images, a share of them as the VAE decodes them (ours).

  A translator trained on true ones alone never sees what it is given in use.

  Returns:
    The images of the sampled frames and, true or decoded as they are, of the
    neutral frames of their clips, [b*f s s 1] both.
  """
  kind = generator.image_kind
  images = kind.sampled_frames(batch)
  keys = jax.vmap(jax.random.key)(batch["seed"])
  use_decoded = jax.vmap(
    lambda key: jax.random.bernoulli(
      jax.random.fold_in(key, 1), loss_config.decoded_share, images.shape[1:2]
    )
  )(keys)
  images = jnp.concatenate([kind.first_frames(batch)[:, None], images], axis=1)
  mean, _ = generator.vae.apply(
    networks["vae"], merge_batch_and_time(images), method="encode"
  )
  decoded = nn.sigmoid(generator.decode(networks, mean)).reshape(images.shape)
  use_decoded = use_decoded[..., None, None, None]
  mixed = jnp.where(use_decoded, decoded[:, 1:], images[:, 1:])
  rest = jnp.where(use_decoded, decoded[:, :1], images[:, :1])
  mixed, rest = lax.stop_gradient((mixed, rest))
  return merge_batch_and_time(mixed), merge_batch_and_time(rest)


def color_lids(
  made: translator.Translation,
  neutral: Float[Array, "h w 3"],
  eye_masks: Float[Array, "h w 2"],
) -> translator.Translation:
  """Gives new pixels at the eyes the hue of the skin there (ours).

  What a lid that shuts covers is skin. The translator has seen few colors of
  skin and of light, and paints it too gray, or reddish, in others. What an eye
  shows as it widens is tinted, too.

  Args:
    made: frames of one face [b h w]; without a mask they are returned as they
      are.
    neutral: the face, in [-1, 1].
    eye_masks: as `landmarks.eye_masks` returns them.
  """
  if made.mask is None:
    return made
  lids, skin = eye_masks[None, ..., :1], eye_masks[None, ..., 1:]
  share, color = (
    translator.blur(x, _SKIN_BLUR)
    for x in (skin, skin * (neutral[None] + 1) / 2)
  )
  color = color / jnp.maximum(share, 1e-3)
  hue = color / jnp.maximum(color.mean(axis=-1, keepdims=True), 0.02)
  brightness = (made.new_pixels.mean(axis=-1, keepdims=True) + 1) / 2
  colored = jnp.clip(2 * brightness * hue - 1, -1, 1)
  amount = lids * jnp.minimum(share / _ENOUGH_SKIN, 1)
  change = amount * (colored - made.new_pixels)
  return made.replace(
    faces=made.faces + made.mask * change, new_pixels=made.new_pixels + change
  )


def face_pairs(batch):
  """Each sampled frame's neutral face and its own, [b*f h w 3] in [-1, 1]."""
  faces = to_signed_range(batch["frames"])
  neutral = to_signed_range(batch["first_frame"])[:, None]
  neutral = jnp.broadcast_to(neutral, faces.shape)
  return merge_batch_and_time(neutral), merge_batch_and_time(faces)

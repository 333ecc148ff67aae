"""CRA-Net: the conditional recurrent generator on faces, with a discriminator.

"The same structure as the bottom layer [...]. The difference is that a
discriminator is added on the top of the generated images" (section 4.1).
"""

import dataclasses
import functools

import jax.numpy as jnp
import ml_collections

from cmm_jax.models.base import (
  AXIS,
  Model,
  Phase,
  compute_dtype,
  gan_losses,
  merge_batch_and_time,
)
from cmm_jax.models.recurrent_generator import (
  RecurrentGenerator,
  face_images,
  label_scale,
)
from cmm_jax.networks import lstm, translator, vae


@dataclasses.dataclass(frozen=True, kw_only=True)
class CRANet(Model):
  """CMM-Net's phases 1 and 2 on faces, with an adversarial loss.

  The discriminator sees single frames, without the neutral face.
  """

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  discriminator: translator.Discriminator

  def networks(self):
    size, embedding_dim = self.vae.image_size, self.vae.embedding_dim
    face, label = jnp.zeros((1, size, size, 3)), jnp.zeros((1, self.num_labels))
    return {
      "vae": (self.vae, (face,)),
      "conditional": (self.conditional, (jnp.zeros((1, embedding_dim)), label)),
      "discriminator": (self.discriminator, (face,)),
    }

  @property
  def face_generator(self) -> RecurrentGenerator:
    """The conditional recurrent generator of faces."""
    return RecurrentGenerator(
      self.vae, self.conditional, face_images(), self.num_labels
    )

  def inference_networks(self):
    return {"cra_net": ("vae", "conditional")}

  def generate(self, trained, inputs):
    """One sequence per face."""
    networks, generator = trained["cra_net"], self.face_generator
    _, embeddings = generator.roll_out(networks, inputs)
    decoded = generator.decode(networks, embeddings)
    faces = generator.image_kind.activation(decoded)[:, None]
    return None, translator.Translation(faces)

  def phases(self, config):
    """CMM-Net's first two phases (section 3.5)."""
    generator = self.face_generator
    weights = config.loss.copy_and_resolve_references()
    # Runs of before this setting used CMM-Net's.
    weights.kl = config.loss.get("cra_net_kl", config.loss.kl)
    return (
      Phase(
        "cra_net_vae",
        trainable={"vae": None},
        frozen={},
        loss=functools.partial(generator.vae_loss, weights),
        visualize=generator.visualize_vae,
        with_frames=True,
      ),
      Phase(
        "cra_net",
        trainable={
          "vae": "cra_net_vae",
          "conditional": None,
          "discriminator": None,
        },
        frozen={},
        loss=functools.partial(self.loss, weights),
        visualize=generator.visualize_conditional,
        with_frames=True,
      ),
    )

  def loss(self, loss_config, networks, batch):
    """The conditional generator's loss plus both adversarial losses."""
    generator = self.face_generator
    loss, metrics, decoded = generator.conditional_loss_terms(
      loss_config, networks, batch
    )
    adversarial, statistics = gan_losses(
      self.discriminator,
      networks["discriminator"],
      (merge_batch_and_time(generator.image_kind.sampled_frames(batch)),),
      (merge_batch_and_time(generator.image_kind.activation(decoded)),),
    )
    loss = loss + loss_config.cra_net_adversarial * adversarial["adversarial"]
    loss = loss + adversarial["discriminator"]
    return loss, ({**metrics, **adversarial}, {"discriminator": statistics})


def build(config: ml_collections.ConfigDict, num_labels: int) -> CRANet:
  """Builds the model at the config's sizes, which are CMM-Net's."""
  data, model = config.data, config.model
  shared = dict(axis_name=AXIS, dtype=compute_dtype(config))
  return CRANet(
    vae=vae.ImageVAE(
      model.embedding_dim,
      model.vae_width,
      data.image_size,
      image_channels=3,
      **shared,
    ),
    conditional=lstm.ConditionalLSTM(
      data.num_frames, model.lstm_dim, label_scale(config)
    ),
    discriminator=translator.Discriminator(model.translator_width, **shared),
    num_labels=num_labels,
  )

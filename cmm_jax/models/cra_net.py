"""CRA-Net: the conditional recurrent generator on faces, with a judge.

"The same structure as the bottom layer [...]. The difference is that a
discriminator is added on the top of the generated images" (section 4.1).
"""

import dataclasses
import functools

import jax.numpy as jnp
import ml_collections

from cmm_jax.models.base import (
  AXIS,
  Architecture,
  Phase,
  dtype_of,
  merge_batch_and_time,
  play,
)
from cmm_jax.models.landmark_generator import RecurrentGenerator, faces
from cmm_jax.networks import lstm, translator, vae


@dataclasses.dataclass(frozen=True, kw_only=True)
class CRANet(Architecture):
  """The networks of CMM-Net's phases 1 and 2 with faces for landmark images,
  and its discriminator, which is given one frame and no neutral face."""

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  discriminator: translator.Discriminator

  def networks(self):
    side, embedding_dim = self.vae.image_size, self.vae.embedding_dim
    face, label = jnp.zeros((1, side, side, 3)), jnp.zeros((1, self.num_labels))
    return {
      "vae": (self.vae, (face,)),
      "conditional": (self.conditional, (jnp.zeros((1, embedding_dim)), label)),
      "discriminator": (self.discriminator, (face,)),
    }

  @property
  def sequences(self) -> RecurrentGenerator:
    """The conditional generator of faces."""
    return RecurrentGenerator(
      self.vae, self.conditional, faces(), self.num_labels
    )

  def used(self):
    return {"cra_net": ("vae", "conditional")}

  def generate(self, trained, inputs):
    """One sequence of each face."""
    networks = trained["cra_net"]
    _, embeddings = self.sequences.roll_out(networks, inputs)
    made = self.sequences.pictures.made(
      self.sequences.decode(networks, embeddings)
    )
    return None, made[:, None]

  def phases(self, config):
    """As CMM-Net's first two (section 3.5)."""
    return (
      Phase(
        "cra_net_vae",
        {"vae": None},
        {},
        functools.partial(self.sequences.vae_loss, config.loss),
        self.sequences.vae_show,
        with_frames=True,
      ),
      Phase(
        "cra_net",
        {"vae": "cra_net_vae", "conditional": None, "discriminator": None},
        {},
        functools.partial(self.loss, config.loss),
        self.sequences.conditional_show,
        with_frames=True,
      ),
    )

  def loss(self, weight, networks, batch):
    """The conditional generator's, and the judge's on the drawn frames."""
    pictures = self.sequences.pictures
    loss, terms, decoded = self.sequences.conditional_terms(
      weight, networks, batch
    )
    played, judged = play(
      self.discriminator,
      networks["discriminator"],
      (merge_batch_and_time(pictures.drawn(batch)),),
      (merge_batch_and_time(pictures.made(decoded)),),
    )
    loss = loss + weight.cra_net_adversarial * played["adversarial"]
    loss = loss + played["discriminator"]
    return loss, ({**terms, **played}, {"discriminator": judged})


def architecture(config: ml_collections.ConfigDict, num_labels: int) -> CRANet:
  """The networks at the config's sizes, which are those of CMM-Net."""
  data, model = config.data, config.model
  judge = dict(axis_name=AXIS, dtype=dtype_of(config))
  return CRANet(
    vae=vae.ImageVAE(
      model.embedding_dim,
      model.vae_width,
      data.image_size,
      image_channels=3,
      **judge,
    ),
    conditional=lstm.ConditionalLSTM(data.num_frames, model.lstm_dim),
    discriminator=translator.Discriminator(model.translator_width, **judge),
    num_labels=num_labels,
  )

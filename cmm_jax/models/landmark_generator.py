"""The conditional recurrent generator: a VAE, and an LSTM over its embeddings.

Phases 1 and 2 (section 3.2): the VAE alone, then both together.
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from cmm_jax import landmarks, losses
from cmm_jax.models.base import (
  Batch,
  apply,
  merge_batch_and_time,
  noise,
  num_sampled_frames,
  to_signed_range,
)
from cmm_jax.networks import lstm, vae


@dataclasses.dataclass(frozen=True)
class Pictures:
  """What the VAE encodes and decodes.

  Attributes:
    drawn: the true pictures [b f h w c] of a batch's drawn frames.
    first: those [b h w c] of the neutral frames.
    made: what is decoded, as such pictures.
    shown: such pictures as they are looked at, in [0, 1].
    cost: of what is decoded against each true picture, in nats.
    cost_name: what logs call it.
  """

  drawn: Callable[[Batch], jax.Array]
  first: Callable[[Batch], jax.Array]
  made: Callable[[jax.Array], jax.Array]
  shown: Callable[[jax.Array], jax.Array]
  cost: Callable[[jax.Array, jax.Array], jax.Array]
  cost_name: str


def landmark_images(side: int) -> Pictures:
  """Drawings of `side` pixels, decoded as logits (eq. 1)."""
  return Pictures(
    drawn=lambda batch: landmarks.draw(batch["points"], side)[..., None],
    first=lambda batch: landmarks.draw(batch["first_points"], side)[..., None],
    made=nn.sigmoid,
    shown=lambda images: images,
    cost=losses.bce_per_image,
    cost_name="bce",
  )


def faces() -> Pictures:
  """Faces in [-1, 1], decoded as what a tanh takes."""
  return Pictures(
    drawn=lambda batch: to_signed_range(batch["frames"]),
    first=lambda batch: to_signed_range(batch["first_frame"]),
    made=jnp.tanh,
    shown=lambda images: images / 2 + 0.5,
    cost=lambda decoded, images: losses.l1_per_image(jnp.tanh(decoded), images),
    cost_name="l1",
  )


@dataclasses.dataclass(frozen=True)
class RecurrentGenerator:
  """First picture and label to a sequence of embeddings, and embeddings to pictures.

  Its networks' weights go by the names "vae" and "conditional". Of the config's
  weights its losses take `kl`, and `embeddings` on the distance to encoded embeddings.
  """

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  pictures: Pictures
  num_labels: int

  def roll_out(self, networks, batch):
    """h_0 and h_1 ... h_T. BatchNorm keeps its statistics from here (ours):
    what is trained is then what is used."""
    first = self.pictures.first(batch)
    code, _ = self.vae.apply(networks["vae"], first, method="encode")
    label = jax.nn.one_hot(batch["label"], self.num_labels)
    return code, self.conditional.apply(networks["conditional"], code, label)

  def decode(self, networks, embeddings):
    """[... d] to [... h w c], of which `pictures.made` makes pictures."""
    flat_codes = embeddings.reshape(-1, embeddings.shape[-1])
    decoded = self.vae.apply(networks["vae"], flat_codes, method="decode")
    return decoded.reshape(*embeddings.shape[:-1], *decoded.shape[1:])

  def show(self, networks, embeddings):
    """Sequences of embeddings [rows t d], every fourth frame of each."""
    made = self.pictures.made(self.decode(networks, embeddings[:, ::4]))
    return {"decoded": self.pictures.shown(made)}

  # ------------------------------------------------------------- 1: the VAE

  def vae_terms(self, net, batch, weight, *, train):
    """The VAE's loss, its terms, the posterior of each frame [b f d] and the
    running statistics."""
    images = merge_batch_and_time(self.pictures.drawn(batch))
    (mean, log_variance), net = apply(
      self.vae, net, images, train=train, method="encode"
    )
    spread = merge_batch_and_time(
      noise(batch, (num_sampled_frames(batch), self.vae.embedding_dim))
    )
    embeddings = mean + jnp.exp(0.5 * log_variance) * spread
    decoded, net = apply(
      self.vae, net, embeddings, train=train, method="decode"
    )
    cost = jnp.mean(self.pictures.cost(decoded, images))
    kl = jnp.mean(losses.kl_to_standard_normal(mean, log_variance))
    shape = (*batch["times"].shape, -1)
    posterior = mean.reshape(shape), log_variance.reshape(shape)
    terms = {f"vae_{self.pictures.cost_name}": cost, "vae_kl": kl}
    return cost + weight.kl * kl, terms, posterior, net["batch_stats"]

  def vae_loss(self, weight, networks, batch):
    """Phase 1's."""
    loss, terms, _, statistics = self.vae_terms(
      networks["vae"], batch, weight, train=True
    )
    return loss, (terms, {"vae": statistics})

  def vae_show(self, networks, batch):
    """True pictures above what the VAE makes of them."""
    images = merge_batch_and_time(self.pictures.drawn(batch))
    mean, _ = self.vae.apply(networks["vae"], images, method="encode")
    decoded = self.vae.apply(networks["vae"], mean, method="decode")
    pairs = jnp.stack([images, self.pictures.made(decoded)])
    return {"true_and_decoded": self.pictures.shown(pairs[:, :16])}

  # ------------------------------------------- 2: with the conditional LSTM

  def sequence_costs(self, networks, batch, embeddings, posterior):
    """Cost, and distance from the posterior, of embeddings [... b t d]: each
    [... b], the mean over the drawn frames; and what these are decoded to."""
    times = jnp.broadcast_to(
      batch["times"][..., None],
      (*embeddings.shape[:-2], num_sampled_frames(batch), 1),
    )
    embeddings = jnp.take_along_axis(embeddings, times, axis=-2)
    decoded = self.decode(networks, embeddings)
    targets = jnp.broadcast_to(self.pictures.drawn(batch), decoded.shape)
    cost = jnp.mean(self.pictures.cost(decoded, targets), axis=-1)
    gap = losses.posterior_nll(embeddings, *posterior)
    return cost, jnp.mean(gap, axis=-1), decoded

  def conditional_terms(self, weight, networks, batch):
    """Phase 2's loss, its terms, and the drawn frames [b f h w c] decoded."""
    # The VAE's own loss stays on while it is fine-tuned (ours): the embeddings keep
    # their scale and the decoder goes on to decode what it encodes.
    loss, terms, posterior, _ = self.vae_terms(
      networks["vae"], batch, weight, train=False
    )
    _, embeddings = self.roll_out(networks, batch)
    cost, gap, decoded = self.sequence_costs(
      networks, batch, embeddings, posterior
    )
    cost, gap = jnp.mean(cost), jnp.mean(gap)
    name = f"conditional_{self.pictures.cost_name}"
    terms = {name: cost, "conditional_codes": gap, **terms}
    return loss + cost + weight.embeddings * gap, terms, decoded

  def conditional_loss(self, weight, networks, batch):
    """Phase 2's."""
    loss, terms, _ = self.conditional_terms(weight, networks, batch)
    return loss, (terms, {})

  def conditional_show(self, networks, batch):
    """The first clip's sequence."""
    _, embeddings = self.roll_out(networks, batch)
    return self.show(networks, embeddings[:1])

"""Phase 3 (section 3.3): the bank of modes beside the conditional sequence."""

import dataclasses

import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax import losses
from cmm_jax.models.base import AXIS
from cmm_jax.models.landmark_generator import RecurrentGenerator
from cmm_jax.networks import lstm


@dataclasses.dataclass(frozen=True)
class ModeLossVariant:
  """How the modes are made and what parts them.

  Attributes:
    shared_start: modes leave from the conditional embeddings (ours) instead of
      putting out embeddings of their own.
    push_reads: what the push's discriminator is given of each mode: "embeddings",
      the average h_*k over time; "change", the average of h_tk - h_0 (ours); or
      "landmark_images", the same of the embeddings that the encoder gives to what the
      drawn frames are decoded to, so that only what is seen counts (ours).
    reconstruction: what the BCE judges: the "conditional" sequence, or also the
      "best_of_modes", each clip's nearest modes (ours).
    push: a factor on the config's weight of eq. 3.
  """

  shared_start: bool
  push_reads: str
  reconstruction: str
  push: float = 1.0

  def __post_init__(self):
    _check_choice(
      "push_reads", self.push_reads, ("embeddings", "change", "landmark_images")
    )
    _check_choice(
      "reconstruction", self.reconstruction, ("conditional", "best_of_modes")
    )


def _check_choice(name, value, choices):
  if value not in choices:
    raise ValueError(
      f"config.modes.{name} is {value!r}; choose one of "
      f"{', '.join(map(repr, choices))}."
    )


# Eq. 1 to 3 as the paper prints them, and what is added to them: each lever
# alone, then together. A form says how it differs from the paper's ("printed")
# or from the config's ("ours").
AS_PRINTED = dict(
  shared_start=False, push_reads="embeddings", reconstruction="conditional"
)
_FORMS = {
  "as_printed": ("printed", {}),
  "as_printed_push_10": ("printed", {"push": 10.0}),
  "shared_start": ("printed", {"shared_start": True}),
  "push_on_change": ("printed", {"push_reads": "change"}),
  "push_on_drawings": ("printed", {"push_reads": "landmark_images"}),
  "best_of_modes": ("printed", {"reconstruction": "best_of_modes"}),
  "drawings_too": ("ours", {"push_reads": "landmark_images"}),
  "push_0": ("ours", {"push": 0.0}),
  "push_10": ("ours", {"push": 10.0}),
  "push_100": ("ours", {"push": 100.0}),
}
FORMS = tuple(_FORMS)  # the forms that are compared with the config's own


def variant_settings(
  config: ml_collections.ConfigDict, name: str = ""
) -> ModeLossVariant:
  """The config's form of the modes, or the one of `FORMS` called `name`.

  Raises:
    ValueError: a choice in `config.modes` does not exist.
  """
  ours = ModeLossVariant(**config.modes)
  if not name:
    return ours
  start, changes = _FORMS[name]
  if start == "printed":
    changes = AS_PRINTED | changes
  return dataclasses.replace(ours, **changes)


@dataclasses.dataclass(frozen=True)
class Modes:
  """A bank of modes over a generator's embeddings.

  Attributes:
    bank: the K LSTMs.
    discriminator: that tells them apart.
    sequences: what gives them their embeddings.
    form: how they are made and parted.
  """

  bank: lstm.ModeBank
  discriminator: lstm.ModeDiscriminator
  sequences: RecurrentGenerator
  form: ModeLossVariant

  def loss(self, weight, networks, batch):
    """Phase 3's."""
    sequences = self.sequences
    loss, terms, posterior, _ = sequences.vae_terms(
      networks["vae"], batch, weight, train=False
    )
    first, embeddings = sequences.roll_out(networks, batch)
    modes = self.bank.apply(networks["modes"], embeddings)  # [m b t d]
    judged = self.form.reconstruction == "best_of_modes"

    bce, gap, _ = sequences.sequence_costs(
      networks, batch, embeddings, posterior
    )
    bce, gap = jnp.mean(bce), jnp.mean(gap)
    pull = losses.pull(modes, embeddings)
    loss = loss + bce + weight.embeddings * gap + weight.pull * pull
    terms = {"conditional_bce": bce, "pull": pull, **terms}

    if judged or self.form.push_reads == "landmark_images":
      bces, gaps, decoded = sequences.sequence_costs(
        networks, batch, modes, posterior
      )
    if judged:
      costs = bces + weight.embeddings * gaps  # [m b]
      shares = _global_assignment(costs, weight.assignment_temperature)
      loss = loss + jnp.mean(jnp.sum(shares * costs, axis=0))
      terms["modes_bce"] = jnp.mean(jnp.sum(shares * bces, axis=0))
      terms["modes_codes"] = jnp.mean(jnp.sum(shares * gaps, axis=0))
      terms["modes_bce_all"] = jnp.mean(bces)

    if self.form.push_reads == "landmark_images":
      average = self._seen(networks, decoded) - first[None]
    else:
      average = jnp.mean(modes, axis=2)  # h_*k
      if self.form.push_reads == "change":
        average = average - first[None]
    push = losses.push(
      self.discriminator.apply(networks["mode_discriminator"], average)
    )
    terms["push"] = push
    return loss + self.form.push * weight.push * push, (terms, {})

  def _seen(self, networks, decoded):
    """The average code [m b d] of decoded frames [m b f h w c], as an encoder
    gives it that cannot learn to see what is not there."""
    drawn = self.sequences.pictures.made(decoded)
    embeddings, _ = self.sequences.vae.apply(
      lax.stop_gradient(networks["vae"]),
      drawn.reshape(-1, *drawn.shape[3:]),
      method="encode",
    )
    return jnp.mean(embeddings.reshape(*drawn.shape[:3], -1), axis=2)

  def show(self, networks, batch):
    """The first clip's conditional sequence, and its modes."""
    _, embeddings = self.sequences.roll_out(networks, batch)
    modes = self.bank.apply(networks["modes"], embeddings[:1])
    rows = jnp.concatenate([embeddings[:1], modes[:, 0]])
    return self.sequences.show(networks, rows)


def _global_assignment(costs, temperature):
  """`sinkhorn_assignment` over the global batch, for this device's examples."""
  everyone = lax.all_gather(costs, AXIS, axis=1, tiled=True)
  shares = losses.sinkhorn_assignment(
    lax.stop_gradient(everyone), temperature=temperature
  )
  own = lax.axis_index(AXIS) * costs.shape[1]
  return lax.dynamic_slice_in_dim(shares, own, costs.shape[1], axis=1)

"""Phase 3 (section 3.3): the bank of modes beside the conditional sequence."""

import dataclasses

import jax.numpy as jnp
from jax import lax

from cmm_jax import losses
from cmm_jax.models import recurrent
from cmm_jax.phases.phase import AXIS
from cmm_jax.phases.sequences import RecurrentGenerator


@dataclasses.dataclass(frozen=True)
class ModeForm:
  """How the modes are made and what parts them.

  Attributes:
    shared_start: modes leave from the conditional codes (ours) instead of
      putting out codes of their own.
    push_reads: what the push's discriminator is given: "codes", the average
      h_*k over time, or "change", the average of h_tk - h_0 (ours).
    reconstruction: what the BCE judges: the "conditional" sequence, or also the
      "best_of_modes", each clip's nearest modes (ours).
  """

  shared_start: bool
  push_reads: str
  reconstruction: str

  def __post_init__(self):
    _check_choice("push_reads", self.push_reads, ("codes", "change"))
    _check_choice(
      "reconstruction", self.reconstruction, ("conditional", "best_of_modes")
    )


def _check_choice(name, value, choices):
  if value not in choices:
    raise ValueError(
      f"config.modes.{name} is {value!r}; choose one of "
      f"{', '.join(map(repr, choices))}."
    )


# Eq. 1 to 3 as the paper prints them, for comparison.
AS_PRINTED = ModeForm(
  shared_start=False, push_reads="codes", reconstruction="conditional"
)


@dataclasses.dataclass(frozen=True)
class Modes:
  """A bank of modes over a generator's codes.

  Attributes:
    name: of the bank's weights.
    bank: the K LSTMs.
    discriminator: that tells them apart.
    sequences: what gives them their codes.
    form: how they are made and parted.
  """

  name: str
  bank: recurrent.ModeBank
  discriminator: recurrent.ModeDiscriminator
  sequences: RecurrentGenerator
  form: ModeForm

  def loss(self, weight, networks, batch):
    """Phase 3's."""
    sequences = self.sequences
    loss, terms, posterior, _ = sequences.vae_terms(
      networks["vae"], batch, weight, train=False
    )
    first, codes = sequences.roll_out(networks, batch)
    modes = self.bank.apply(networks[self.name], codes)  # [m b t d]

    bce, gap, _ = sequences.sequence_costs(networks, batch, codes, posterior)
    bce, gap = jnp.mean(bce), jnp.mean(gap)
    pull = losses.pull(modes, codes)
    average = jnp.mean(modes, axis=2)  # h_*k
    if self.form.push_reads == "change":
      average = average - first[None]
    push = losses.push(
      self.discriminator.apply(networks["mode_discriminator"], average)
    )
    loss = loss + bce + weight.codes * gap
    loss = loss + weight.pull * pull + weight.push * push
    terms = {"conditional_bce": bce, "pull": pull, "push": push, **terms}

    if self.form.reconstruction == "best_of_modes":
      bces, gaps, _ = sequences.sequence_costs(
        networks, batch, modes, posterior
      )
      costs = bces + weight.codes * gaps  # [m b]
      shares = _shares_over_devices(costs, weight.share_temperature)
      loss = loss + jnp.mean(jnp.sum(shares * costs, axis=0))
      terms["modes_bce"] = jnp.mean(jnp.sum(shares * bces, axis=0))
      terms["modes_codes"] = jnp.mean(jnp.sum(shares * gaps, axis=0))
      terms["modes_bce_all"] = jnp.mean(bces)
    return loss, (terms, {})

  def show(self, networks, batch):
    """The first clip's conditional sequence, and its modes."""
    _, codes = self.sequences.roll_out(networks, batch)
    modes = self.bank.apply(networks[self.name], codes[:1])
    rows = jnp.concatenate([codes[:1], modes[:, 0]])
    return self.sequences.show(networks, rows)


def _shares_over_devices(costs, temperature):
  """`balanced_shares` over the global batch, for this device's examples."""
  everyone = lax.all_gather(costs, AXIS, axis=1, tiled=True)
  shares = losses.balanced_shares(
    lax.stop_gradient(everyone), temperature=temperature
  )
  own = lax.axis_index(AXIS) * costs.shape[1]
  return lax.dynamic_slice_in_dim(shares, own, costs.shape[1], axis=1)

"""Phase 3 (section 3.3): the mode bank, and the variants of its losses."""

import dataclasses

import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax import losses
from cmm_jax.models.base import AXIS
from cmm_jax.models.recurrent_generator import RecurrentGenerator
from cmm_jax.networks import lstm

CHOICES = {
  "push_input": ("embeddings", "displacement", "landmark_images"),
  "reconstruction": ("conditional", "best_of_modes", "clusters"),
}


@dataclasses.dataclass(frozen=True)
class ModeSettings:
  """Mode-bank settings (ablation), the defaults as the paper prints them.

  Attributes:
    shared_start: whether modes add steps to the conditional embeddings (ours)
      instead of predicting embeddings of their own.
    push_input: what the mode discriminator reads of each mode: "embeddings",
      the time average h_*k; "displacement", the time average of h_tk - h_0
      (ours); or "landmark_images", the same average after decoding and
      re-encoding the sampled frames, so that only visible differences count
      (ours).
    reconstruction: which sequences the BCE is computed of: the "conditional"
      one alone, or also the mode of each clip's cluster ("clusters",
      `models.clusters`) or its nearest modes ("best_of_modes"), both ours.
    push: multiplies `config.loss.push`, the weight of eq. 3.
  """

  shared_start: bool = False
  push_input: str = "embeddings"
  reconstruction: str = "conditional"
  push: float = 1.0

  def __post_init__(self):
    for name, choices in CHOICES.items():
      value = getattr(self, name)
      if value not in choices:
        raise ValueError(
          f"config.modes.{name} is {value!r}; choose one of "
          f"{', '.join(map(repr, choices))}."
        )


@dataclasses.dataclass(frozen=True)
class ModeLossVariant:
  """One row of the ablation of the modes' losses.

  Attributes:
    title: its heading in the tables.
    base: the settings that it changes: "paper" or "config".
    changes: to the base, fields of `ModeSettings`.
  """

  title: str
  base: str
  changes: dict[str, object] = dataclasses.field(default_factory=dict)

  def settings(self, config: ml_collections.ConfigDict) -> ModeSettings:
    """The settings of this variant of a run."""
    base = ModeSettings(**config.modes) if self.base == "config" else PAPER
    return dataclasses.replace(base, **self.changes)


PAPER = ModeSettings()

# Each change to the paper's losses alone, then changes to the config's own.
VARIANTS = {
  "as_printed": ModeLossVariant("as printed", "paper"),
  "as_printed_push_10": ModeLossVariant("… push × 10", "paper", {"push": 10.0}),
  "shared_start": ModeLossVariant(
    "… shared start", "paper", {"shared_start": True}
  ),
  "push_on_displacement": ModeLossVariant(
    "… push on displacement", "paper", {"push_input": "displacement"}
  ),
  "push_on_landmark_images": ModeLossVariant(
    "… push on landmark images", "paper", {"push_input": "landmark_images"}
  ),
  "best_of_modes": ModeLossVariant(
    "… best of modes", "paper", {"reconstruction": "best_of_modes"}
  ),
  "clusters": ModeLossVariant(
    "… clusters", "paper", {"reconstruction": "clusters"}
  ),
  "ours_best_of_modes": ModeLossVariant(
    "ours, best of modes", "config", {"reconstruction": "best_of_modes"}
  ),
  "ours_push_on_landmark_images": ModeLossVariant(
    "ours, push on landmark images",
    "config",
    {"push_input": "landmark_images"},
  ),
  "push_0": ModeLossVariant("ours, push × 0", "config", {"push": 0.0}),
  "push_10": ModeLossVariant("ours, push × 10", "config", {"push": 10.0}),
  "push_100": ModeLossVariant("ours, push × 100", "config", {"push": 100.0}),
}


def mode_settings(
  config: ml_collections.ConfigDict, variant: str = ""
) -> ModeSettings:
  """The mode-bank settings of the config, or of one of `VARIANTS`.

  Raises:
    ValueError: `config.modes` holds an unknown choice.
  """
  if not variant:
    return ModeSettings(**config.modes)
  return VARIANTS[variant].settings(config)


@dataclasses.dataclass(frozen=True)
class ModeBankObjective:
  """What trains the mode bank.

  Attributes:
    bank: the K LSTMs.
    discriminator: classifies the mode.
    generator: provides the conditional embeddings.
    settings: the variant of the losses.
  """

  bank: lstm.ModeBank
  discriminator: lstm.ModeDiscriminator
  generator: RecurrentGenerator
  settings: ModeSettings

  @property
  def num_clusters(self) -> int:
    """How many clusters of clips the loss reads."""
    clusters = self.settings.reconstruction == "clusters"
    return self.bank.num_modes if clusters else 0

  def loss(self, loss_config, networks, batch):
    """The loss of phase 3: BCE, pull (eq. 2) and push (eq. 3)."""
    generator, settings = self.generator, self.settings
    loss, metrics, posterior, _ = generator.vae_loss_terms(
      loss_config, networks["vae"], batch, train=False
    )
    first, embeddings = generator.roll_out(networks, batch)
    modes = self.bank.apply(networks["modes"], embeddings)  # [m b t d]

    bce, distance, _ = generator.sequence_losses(
      networks, batch, embeddings, posterior
    )
    metrics["conditional_bce"] = bce = jnp.mean(bce)
    metrics["pull"] = pull = losses.pull(modes, embeddings)
    loss = loss + bce + loss_config.embeddings * jnp.mean(distance)
    loss = loss + loss_config.pull * pull

    best_of_modes = settings.reconstruction == "best_of_modes"
    if best_of_modes or settings.push_input == "landmark_images":
      bces, distances, decoded = generator.sequence_losses(
        networks, batch, modes, posterior
      )
    if best_of_modes:
      costs = bces + loss_config.embeddings * distances  # [m b]
      assignment = _global_assignment(costs, loss_config.assignment_temperature)
      loss = loss + jnp.mean(jnp.sum(assignment * costs, axis=0))
      metrics["modes_bce"] = jnp.mean(jnp.sum(assignment * bces, axis=0))
      metrics["modes_embeddings"] = jnp.mean(
        jnp.sum(assignment * distances, axis=0)
      )
      metrics["modes_bce_all"] = jnp.mean(bces)
    elif settings.reconstruction == "clusters":
      of_cluster = modes[batch["cluster"], jnp.arange(modes.shape[1])]
      bces, distances, _ = generator.sequence_losses(
        networks, batch, of_cluster, posterior
      )
      metrics["modes_bce"] = jnp.mean(bces)
      metrics["modes_embeddings"] = jnp.mean(distances)
      loss = loss + metrics["modes_bce"]
      loss = loss + loss_config.embeddings * metrics["modes_embeddings"]

    if settings.push_input == "landmark_images":
      average = self._reencode(networks, decoded) - first[None]
    else:
      average = jnp.mean(modes, axis=2)  # h_*k
      if settings.push_input == "displacement":
        average = average - first[None]
    push = losses.push(
      self.discriminator.apply(networks["mode_discriminator"], average)
    )
    metrics["push"] = push
    return loss + settings.push * loss_config.push * push, (metrics, {})

  def _reencode(self, networks, decoded):
    """Encodes decoded frames [m b f h w c] with a frozen encoder; averages
    over the frames to [m b d]."""
    images = self.generator.image_kind.activation(decoded)
    embeddings, _ = self.generator.vae.apply(
      lax.stop_gradient(networks["vae"]),
      images.reshape(-1, *images.shape[3:]),
      method="encode",
    )
    return jnp.mean(embeddings.reshape(*images.shape[:3], -1), axis=2)

  def visualize(self, networks, batch):
    """The first clip's conditional sequence above its modes."""
    _, embeddings = self.generator.roll_out(networks, batch)
    modes = self.bank.apply(networks["modes"], embeddings[:1])
    rows = jnp.concatenate([embeddings[:1], modes[:, 0]])
    return self.generator.visualize(networks, rows)


def _global_assignment(costs, temperature):
  """`sinkhorn_assignment` of the global batch, for this device's examples."""
  everywhere = lax.all_gather(costs, AXIS, axis=1, tiled=True)
  assignment = losses.sinkhorn_assignment(everywhere, temperature=temperature)
  start = lax.axis_index(AXIS) * costs.shape[1]
  return lax.dynamic_slice_in_dim(assignment, start, costs.shape[1], axis=1)

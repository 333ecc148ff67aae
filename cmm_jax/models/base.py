"""The records that all models share, and the steps that their losses share."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax import losses, runtime
from cmm_jax.networks.translator import Translation

Variables = Mapping[str, Any]  # "params" and, with BatchNorm, "batch_stats"
Networks = Mapping[str, Variables]
Batch = Mapping[str, jax.Array]
# Scalars to log, by name, and the networks' new running statistics.
Aux = tuple[dict[str, jax.Array], dict[str, Any]]

AXIS = "data"  # the mapped axis over which the batch is split


@dataclasses.dataclass(frozen=True)
class Phase:
  """One stage of training.

  Attributes:
    name: as in `config.phases`.
    trainable: the networks that the loss trains. Each maps to the earlier phase
      whose weights it starts from, or to None for a random initialization.
    frozen: the networks that the loss reads but does not train, each with the
      phase that trained it.
    kept: the trainable networks that keep the weights they start from, because
      the phase before this one has 0 epochs. They are saved with the others.
    loss: `loss(networks, batch) -> (loss, aux)`, where `networks` holds both
      kinds. Its gradient trains every trainable network.
    visualize: `visualize(networks, batch)` returns images [rows columns h w c]
      in [0, 1], by name.
    with_frames: whether the batch holds faces, or landmarks alone.
    label: the label whose clips the phase trains on, or None for all clips.
    num_clusters: how many clusters of clips a batch's `cluster` numbers, or 0
      if the batch has none.
    variant: tells apart phases that share their settings, or "".
  """

  name: str
  trainable: Mapping[str, str | None]
  frozen: Mapping[str, str]
  loss: Callable[[Networks, Batch], tuple[jax.Array, Aux]]
  visualize: Callable[[Networks, Batch], dict[str, jax.Array]]
  with_frames: bool
  label: int | None = None
  num_clusters: int = 0
  variant: str = ""
  kept: tuple[str, ...] = ()

  @property
  def checkpoint_name(self) -> str:
    """The folder of its checkpoints; other phases refer to it by this name."""
    return f"{self.name}_{self.variant}" if self.variant else self.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(abc.ABC):
  """A model's networks without their weights, its phases and its inference.

  Each model is a subclass in a file of its own.
  """

  num_labels: int
  fine_tunes = False  # whether training can start from a file of weights

  @abc.abstractmethod
  def networks(self) -> dict[str, tuple[nn.Module, tuple[jax.Array, ...]]]:
    """Every network by name, with example inputs of batch size 1."""

  @abc.abstractmethod
  def phases(self, config: ml_collections.ConfigDict) -> tuple[Phase, ...]:
    """The phases in the order in which they are trained."""

  @abc.abstractmethod
  def inference_networks(self) -> dict[str, tuple[str, ...]]:
    """The networks that `generate` reads, by the phase that trained them."""

  @abc.abstractmethod
  def generate(
    self, trained: Mapping[str, Networks], inputs: Batch
  ) -> tuple[jax.Array | None, Translation]:
    """Generates s sequences from each neutral face.

    Args:
      trained: phase -> network -> variables, as `inference_networks` names
        them.
      inputs: `first_frame`, `first_points` and `label`, as in a batch, and
        `strength` [b], a factor on how far a smile goes, which baselines
        ignore.

    Returns:
      Landmark images [b s t h w 1] in [0, 1], or None if the model makes none,
      and faces [b s t h w 3] in [-1, 1] with the motion that made them, if any.
    """

  def adapt(
    self,
    networks: Networks,
    config: ml_collections.ConfigDict,
    before: Sequence[str],
    labels: Sequence[str],
  ) -> Networks:
    """Given networks for other labels than those they were trained with.

    Args:
      networks: of a model that fine-tunes.
      config: that they were trained with.
      before: the labels that they were trained with, in order.
      labels: the labels of the clips to train on.
    """
    del config, before, labels
    return networks

  def init(self, name: str, key: jax.Array) -> Variables:
    """Initializes the network `name`."""
    module, inputs = self.networks()[name]
    return module.init(key, *inputs)


def apply(module, variables, *args, train, method=None):
  """Applies a network; returns its output and its updated variables."""
  output, updates = module.apply(
    variables, *args, train=train, method=method, mutable=["batch_stats"]
  )
  return output, {**variables, **updates}


def gan_losses(
  discriminator: nn.Module, variables: Variables, real: tuple, fake: tuple
) -> tuple[dict[str, jax.Array], Any]:
  """Both adversarial losses from one pass of the generator (eq. 5 and 6).

  D sees detached fakes; G sees a frozen D. The sum of the two losses therefore
  trains each player by its own loss alone.

  Args:
    discriminator: the network.
    variables: the discriminator's variables.
    real: the discriminator's inputs for real examples.
    fake: the discriminator's inputs for generated examples.

  Returns:
    The generator's loss ("adversarial") and the discriminator's
    ("discriminator"), and the discriminator's new running statistics.
  """
  real_logits, updated = apply(discriminator, variables, *real, train=True)
  fake_logits_for_discriminator, updated = apply(
    discriminator, updated, *lax.stop_gradient(fake), train=True
  )
  frozen_discriminator = lax.stop_gradient(variables)
  fake_logits_for_generator, _ = apply(
    discriminator, frozen_discriminator, *fake, train=True
  )
  metrics = {
    "adversarial": losses.generator_adversarial(fake_logits_for_generator),
    "discriminator": losses.discriminator_adversarial(
      real_logits, fake_logits_for_discriminator
    ),
  }
  return metrics, updated["batch_stats"]


def noise(batch: Batch, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal noise [b *shape], each example's from its own key."""
  keys = jax.vmap(jax.random.key)(batch["seed"])
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def num_sampled_frames(batch: Batch) -> int:
  """The number of frames sampled from each clip."""
  return batch["times"].shape[1]


def to_signed_range(images: jax.Array) -> jax.Array:
  """Maps uint8 to float32 in [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def merge_batch_and_time(x: jax.Array) -> jax.Array:
  """Reshapes [b f ...] to [b*f ...]."""
  return x.reshape(-1, *x.shape[2:])


def compute_dtype(config: ml_collections.ConfigDict) -> jnp.dtype:
  """The dtype that the convolutional networks compute in.

  Parameters, running statistics and losses are float32 with any of them.

  Raises:
    ValueError: `config.model.dtype` is unknown.
  """
  name = config.model.dtype
  if name == "auto":
    return jnp.dtype(
      jnp.bfloat16 if runtime.has_fast_bfloat16() else jnp.float32
    )
  if name not in ("float32", "bfloat16"):
    raise ValueError(
      f'config.model.dtype is {name!r}: set it to "auto", "float32" or '
      '"bfloat16".'
    )
  return jnp.dtype(name)

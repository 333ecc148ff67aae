"""What every phase and every model is, and the few steps that losses share."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from flax import traverse_util
from jax import lax

from cmm_jax import losses
from cmm_jax.networks import layers

Variables = Mapping[str, Any]  # a network's params and, with BatchNorm, its
Networks = Mapping[str, Variables]  # batch_stats
Batch = Mapping[str, jax.Array]
# Scalars by name for logging, and the networks' new running statistics.
Reports = tuple[dict[str, jax.Array], dict[str, Any]]

AXIS = "data"  # the mapped axis: the batch is split along it


@dataclasses.dataclass(frozen=True)
class Phase:
  """One stage of training.

  Attributes:
    name: as in the config.
    learns: the networks that the loss moves, each with the earlier phase from
      whose weights it goes on, or None for a start from scratch.
    reads: networks that stay as an earlier phase left them, with that phase.
    loss: from all these networks and a batch to the loss, whose gradient moves
      each network that is learnt, and the reports.
    show: pictures [rows columns h w channels] in [0, 1], by name.
    with_frames: whether it looks at faces, or at landmarks alone.
    label: the number of the one label whose clips it sees, or None for all.
    variant: what tells it from other phases with the same settings, or "".
  """

  name: str
  learns: Mapping[str, str | None]
  reads: Mapping[str, str]
  loss: Callable[[Networks, Batch], tuple[jax.Array, Reports]]
  show: Callable[[Networks, Batch], dict[str, jax.Array]]
  with_frames: bool
  label: int | None = None
  variant: str = ""

  @property
  def folder(self) -> str:
    """Of its checkpoints and its log; earlier phases are named by it."""
    return f"{self.name}_{self.variant}" if self.variant else self.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture(abc.ABC):
  """A model's networks without weights, their training and their use.

  Each model has a child of its own, in a file of its own.
  """

  num_labels: int

  @abc.abstractmethod
  def networks(self) -> dict[str, tuple[nn.Module, tuple[jax.Array, ...]]]:
    """Every network by name, and its inputs for one example."""

  @abc.abstractmethod
  def phases(self, config: ml_collections.ConfigDict) -> tuple[Phase, ...]:
    """The phases in the order in which they are trained."""

  @abc.abstractmethod
  def used(self) -> dict[str, tuple[str, ...]]:
    """The phases' folders with the networks that `generate` takes of each."""

  @abc.abstractmethod
  def generate(
    self, trained: Mapping[str, Networks], inputs: Batch
  ) -> tuple[jax.Array | None, jax.Array]:
    """Makes s smiles of each neutral face.

    Args:
      trained: folder -> network -> weights, as `used` names them.
      inputs: `first_frame`, `first_points` and `label`, as in a batch.

    Returns:
      Landmark images [b s t h w 1] in [0, 1], or None of a model that makes
      none, and faces [b s t h w 3] in [-1, 1].
    """

  def prepared(self, trained: Mapping[str, Networks]) -> Mapping[str, Networks]:
    """The same weights, laid out for `generate` on this process' platform."""
    return trained

  def init(self, name: str, key: jax.Array) -> Variables:
    """First weights of the network `name`."""
    module, inputs = self.networks()[name]
    return module.init(key, *inputs)


def prepare(module, variables, *inputs, method=None):
  """A network's variables, with what its layers take in place of kernels.

  Args:
    module: the network.
    variables: its.
    inputs: shapes and types of what it will be given.
    method: which of its methods will be given them.
  """

  def layouts(variables):
    zeros = [jnp.zeros(given.shape, given.dtype) for given in inputs]
    return module.apply(
      variables, *zeros, method=method, mutable=[layers.PREPARED]
    )[1]

  made = jax.jit(layouts)(variables)  # of the pass itself nothing is computed
  if not made:
    return variables
  params = traverse_util.flatten_dict(variables["params"])
  replaced = traverse_util.flatten_dict(made[layers.PREPARED])
  kept = {path: value for path, value in params.items() if path not in replaced}
  return {**variables, **made, "params": traverse_util.unflatten_dict(kept)}


def apply(module, variables, *args, train, method=None):
  """Runs a network; gives its output and its variables after it."""
  output, changed = module.apply(
    variables, *args, train=train, method=method, mutable=["batch_stats"]
  )
  return output, {**variables, **changed}


def play(
  judge: nn.Module, variables: Variables, real: tuple, fake: tuple
) -> tuple[dict[str, jax.Array], Any]:
  """One round between a generator and its judge.

  One pass of the generator serves both players: the judge sees its pictures cut
  off from it, and it sees a judge that does not move.

  Args:
    judge: the discriminator.
    variables: its.
    real: its inputs of a true example.
    fake: its inputs of a generated one.

  Returns:
    What the generator ("adversarial") and the judge ("discriminator") minimise,
    and the judge's running statistics.
  """
  real, after = apply(judge, variables, *real, train=True)
  found, after = apply(judge, after, *lax.stop_gradient(fake), train=True)
  still = lax.stop_gradient(variables)
  felt, _ = apply(judge, still, *fake, train=True)
  terms = {
    "adversarial": losses.generator_adversarial(felt),
    "discriminator": losses.discriminator_adversarial(real, found),
  }
  return terms, after["batch_stats"]


def noise(batch: Batch, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal [b *shape], each example's from its own key."""
  keys = jax.vmap(jax.random.key)(batch["key"])
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def num_sampled_frames(batch: Batch) -> int:
  """How many frames of each clip the batch holds."""
  return batch["times"].shape[1]


def to_signed_range(images: jax.Array) -> jax.Array:
  """Uint8 to [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def merge_batch_and_time(x: jax.Array) -> jax.Array:
  """[b f ...] to [b*f ...]."""
  return x.reshape(-1, *x.shape[2:])


def dtype_of(config: ml_collections.ConfigDict) -> jnp.dtype:
  """What the convolutional networks compute in; weights are float32 always.

  Raises:
    ValueError: it is no such type.
  """
  # Runs from before the setting have none.
  name = config.model.get("dtype", "float32")
  if name not in ("float32", "bfloat16"):
    raise ValueError(
      f'config.model.dtype is {name!r}: set it to "float32" or "bfloat16".'
    )
  return jnp.dtype(name)

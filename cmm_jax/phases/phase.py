"""What every phase is: a record, and the few steps that losses share."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

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
    name: as in the config and in the checkpoint folder.
    learns: the networks that the loss moves, each with the earlier phase from
      whose weights it goes on, or None for a start from scratch.
    reads: networks that stay as an earlier phase left them, with that phase.
    loss: from all these networks and a batch to the loss, whose gradient moves
      each network that is learnt, and the reports.
    show: pictures [rows columns h w channels] in [0, 1], by name.
    with_frames: whether it looks at faces, or at landmarks alone.
  """

  name: str
  learns: Mapping[str, str | None]
  reads: Mapping[str, str]
  loss: Callable[[Networks, Batch], tuple[jax.Array, Reports]]
  show: Callable[[Networks, Batch], dict[str, jax.Array]]
  with_frames: bool


def apply(module, variables, *args, train, method=None):
  """Runs a network; gives its output and its variables after it."""
  output, changed = module.apply(
    variables, *args, train=train, method=method, mutable=["batch_stats"]
  )
  return output, {**variables, **changed}


def noise(batch: Batch, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal [b *shape], each example's from its own key."""
  keys = jax.vmap(jax.random.key)(batch["key"])
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def num_drawn(batch: Batch) -> int:
  """How many frames of each clip the batch holds."""
  return batch["times"].shape[1]


def signed(images: jax.Array) -> jax.Array:
  """Uint8 to [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def flat(x: jax.Array) -> jax.Array:
  """[b f ...] to [b*f ...]."""
  return x.reshape(-1, *x.shape[2:])

"""The conditional LSTM, the bank of mode LSTMs and their discriminator.

An embedding is the paper's h_t: the latent vector of the VAE at frame t.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float

# Increments start near zero, so an untrained sequence stays at its first
# embedding.
_small_init = nn.initializers.variance_scaling(0.01, "fan_in", "normal")

# Uniform within 1 / sqrt(hidden_dim), as in PyTorch. Flax's default is an
# orthogonal matrix, which takes a QR decomposition per gate and mode; several
# of them at once can deadlock on two cores (jaxlib 0.10.2).
_recurrent_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class _Frame(nn.Module):
  """One frame: previous embedding and condition to the next embedding."""

  hidden_dim: int

  @nn.compact
  def __call__(self, carry, condition: Float[Array, "b c"]):
    lstm_state, embedding = carry
    inputs = jnp.concatenate([embedding, condition], axis=-1)
    cell = nn.OptimizedLSTMCell(
      self.hidden_dim, recurrent_kernel_init=_recurrent_init
    )
    lstm_state, hidden = cell(lstm_state, inputs)
    step = nn.Dense(embedding.shape[-1], kernel_init=_small_init, name="step")(
      hidden
    )
    embedding = embedding + step
    return (lstm_state, embedding), embedding


class ConditionalLSTM(nn.Module):
  """Predicts the embeddings of a smile from the neutral face (section 3.2).

  The LSTM reads its own previous embedding in training as in inference, and
  predicts the increment from each embedding to the next (ours).

  Attributes:
    num_frames: T, the number of embeddings to predict.
    hidden_dim: size of the LSTM's state.
    condition_scale: factor of the condition, one entry of which is 1 beside all
      entries of an embedding (ours).
  """

  num_frames: int = 32
  hidden_dim: int = 512
  condition_scale: float = 1.0

  @nn.compact
  def __call__(
    self, embedding: Float[Array, "b d"], condition: Float[Array, "b c"]
  ) -> Float[Array, "b {self.num_frames} d"]:
    """Maps h_0 and the encoded label to h_1 ... h_T."""
    scan = nn.scan(
      _Frame,
      variable_broadcast="params",  # one set of weights for all frames
      split_rngs={"params": False},
      in_axes=nn.broadcast,  # "input at all time steps"
      out_axes=1,
      length=self.num_frames,
    )
    carry = _initial_state(embedding, self.hidden_dim), embedding
    condition = self.condition_scale * condition
    _, embeddings = scan(self.hidden_dim, name="frame")(carry, condition)
    return embeddings


def replace_condition(
  variables: Mapping[str, Any],
  rows: Sequence[int | None],
  factor: float = 1.0,
) -> dict[str, Any]:
  """A trained `ConditionalLSTM`'s variables for another one-hot condition.

  Args:
    variables: with NumPy arrays.
    rows: for each entry of the new condition the entry of the old one whose
      weights it takes over, or None for the mean of all old entries (ours).
    factor: of the weights of the condition.
  """
  arrays = traverse_util.flatten_dict(dict(variables))
  dim = len(next(v for k, v in arrays.items() if k[-2:] == ("step", "bias")))
  for name, kernel in arrays.items():
    if name[-1] != "kernel" or not name[-2].startswith("i"):
      continue  # not one of the kernels of a gate's input
    old = factor * kernel[dim:]
    new = [old.mean(axis=0) if row is None else old[row] for row in rows]
    arrays[name] = np.concatenate([kernel[:dim], np.stack(new)])
  return traverse_util.unflatten_dict(arrays)


class _Mode(nn.Module):
  """One LSTM over the conditional embeddings."""

  hidden_dim: int
  shared_start: bool

  @nn.compact
  def __call__(
    self, embeddings: Float[Array, "b t d"]
  ) -> Float[Array, "b t d"]:
    scan = nn.scan(
      nn.OptimizedLSTMCell,
      variable_broadcast="params",
      split_rngs={"params": False},
      in_axes=1,
      out_axes=1,
    )
    lstm = scan(
      self.hidden_dim, recurrent_kernel_init=_recurrent_init, name="lstm"
    )
    _, hidden = lstm(
      _initial_state(embeddings[:, 0], self.hidden_dim), embeddings
    )
    features = embeddings.shape[-1]
    if not self.shared_start:
      return nn.Dense(features, name="output")(hidden)
    steps = nn.Dense(features, kernel_init=_small_init, name="output")(hidden)
    return embeddings + jnp.cumsum(steps, axis=1)


class ModeBank(nn.Module):
  """K LSTMs with separate weights over the same embeddings (section 3.3).

  Attributes:
    num_modes: K.
    hidden_dim: size of each LSTM's state.
    shared_start: whether a mode adds accumulated increments to the conditional
      embeddings, so that all modes leave from the same neutral face and grow
      apart (ours), or predicts its embeddings directly, as in the paper.
  """

  num_modes: int = 3
  hidden_dim: int = 512
  shared_start: bool = True

  @nn.compact
  def __call__(
    self, embeddings: Float[Array, "b t d"]
  ) -> Float[Array, "{self.num_modes} b t d"]:
    """Maps h_1 ... h_T to the K sequences h_1k ... h_Tk."""
    bank = nn.vmap(
      _Mode,
      variable_axes={"params": 0},  # weights gain a leading mode axis
      split_rngs={"params": True},  # so that no two modes start alike
      in_axes=None,
      axis_size=self.num_modes,
    )
    return bank(self.hidden_dim, self.shared_start, name="modes")(embeddings)


class ModeDiscriminator(nn.Module):
  """Classifies the mode of a time-averaged sequence (eq. 3).

  A linear layer; its softmax belongs to the loss.
  """

  num_modes: int = 3

  @nn.compact
  def __call__(
    self, averages: Float[Array, "m b d"]
  ) -> Float[Array, "m b {self.num_modes}"]:
    """Maps the average embeddings h_*k to the logits of the modes."""
    return nn.Dense(self.num_modes, name="linear")(averages)


def _initial_state(like: jax.Array, hidden_dim: int):
  """The LSTM's cell and hidden state before the first frame: zeros."""
  zeros = jnp.zeros((like.shape[0], hidden_dim), like.dtype)
  return zeros, zeros

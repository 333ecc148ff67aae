"""Sequences of embeddings: the conditional LSTM and the bank of modes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Steps start near zero, so that an untrained roll-out stays at its first code.
_small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")

# Uniform within 1 / sqrt(hidden_dim), as PyTorch has it. Flax's default, an
# orthogonal matrix, needs a QR decomposition for each gate and mode; run at
# once on two cores, these can wait for one another for ever (jaxlib 0.10.2).
_recurrent = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class _CodeStep(nn.Module):
  """One frame: the previous code and the condition give the next code."""

  hidden_dim: int

  @nn.compact
  def __call__(self, carry, condition: Float[Array, "b c"]):
    memory, code = carry
    inputs = jnp.concatenate([code, condition], axis=-1)
    cell = nn.OptimizedLSTMCell(
      self.hidden_dim, recurrent_kernel_init=_recurrent
    )
    memory, hidden = cell(memory, inputs)
    step = nn.Dense(code.shape[-1], kernel_init=_small, name="step")(hidden)
    code = code + step
    return (memory, code), code


class ConditionalLSTM(nn.Module):
  """Rolls the neutral face's code forward under a label (section 3.2).

  It runs in training as it does in use, on its own codes, and gives each code
  as a step from the one before (ours).
  """

  num_frames: int = 32
  hidden_dim: int = 512

  @nn.compact
  def __call__(
    self, code: Float[Array, "b d"], condition: Float[Array, "b c"]
  ) -> Float[Array, "b {self.num_frames} d"]:
    """The codes h_1 ... h_T from h_0 and the encoded label."""
    scan = nn.scan(
      _CodeStep,
      variable_broadcast="params",  # one set of weights for all frames
      split_rngs={"params": False},
      in_axes=nn.broadcast,  # "input at all time steps"
      out_axes=1,
      length=self.num_frames,
    )
    blank = _blank(code, self.hidden_dim)
    _, codes = scan(self.hidden_dim, name="frame")((blank, code), condition)
    return codes


class _Mode(nn.Module):
  """One LSTM over the conditional codes (section 3.3)."""

  hidden_dim: int
  shared_start: bool

  @nn.compact
  def __call__(self, codes: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
    scan = nn.scan(
      nn.OptimizedLSTMCell,
      variable_broadcast="params",
      split_rngs={"params": False},
      in_axes=1,
      out_axes=1,
    )
    memory = _blank(codes[:, 0], self.hidden_dim)
    _, hidden = scan(
      self.hidden_dim, recurrent_kernel_init=_recurrent, name="lstm"
    )(memory, codes)
    if not self.shared_start:
      return nn.Dense(codes.shape[-1], name="output")(hidden)
    steps = nn.Dense(codes.shape[-1], kernel_init=_small, name="output")(hidden)
    return codes + jnp.cumsum(steps, axis=1)


class ModeBank(nn.Module):
  """K LSTMs with weights of their own over the same codes (section 3.3).

  With `shared_start` a mode sums steps away from the conditional codes, so that
  all modes leave from the same neutral face and grow apart (ours); without, it
  puts out its codes directly, which is the paper's form.
  """

  num_modes: int = 3
  hidden_dim: int = 512
  shared_start: bool = True

  @nn.compact
  def __call__(
    self, codes: Float[Array, "b t d"]
  ) -> Float[Array, "{self.num_modes} b t d"]:
    """The codes h_1 ... h_T to the K sequences h_1k ... h_Tk."""
    bank = nn.vmap(
      _Mode,
      variable_axes={"params": 0},  # weights gain a leading mode axis
      split_rngs={"params": True},  # so that no two modes start alike
      in_axes=None,
      axis_size=self.num_modes,
    )
    return bank(self.hidden_dim, self.shared_start, name="modes")(codes)


class ModeDiscriminator(nn.Module):
  """Names the mode from its average over time: linear and softmax (eq. 3)."""

  num_modes: int = 3

  @nn.compact
  def __call__(
    self, averages: Float[Array, "m b d"]
  ) -> Float[Array, "m b {self.num_modes}"]:
    """The logits of the modes."""
    return nn.Dense(self.num_modes, name="linear")(averages)


def _blank(like: jax.Array, hidden_dim: int):
  """An LSTM's first memory."""
  zeros = jnp.zeros((like.shape[0], hidden_dim), like.dtype)
  return zeros, zeros

"""Sequences of embeddings: the conditional LSTM and the bank of modes."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Steps start near zero, so that an untrained roll-out stays at its first embedding.
_small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")

# Uniform within 1 / sqrt(hidden_dim), as PyTorch has it. Flax's default, an
# orthogonal matrix, needs a QR decomposition for each gate and mode; run at
# once on two cores, these can wait for one another for ever (jaxlib 0.10.2).
_recurrent = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ConditionalLSTM(nn.Module):
  """Rolls the neutral face's embedding forward under a label (section 3.2).

  It runs in training as it does in use, on its own embeddings, and gives each embedding
  as a step from the one before (ours).
  """

  num_frames: int = 32
  hidden_dim: int = 512

  @nn.compact
  def __call__(
    self, embedding: Float[Array, "b d"], condition: Float[Array, "b c"]
  ) -> Float[Array, "b {self.num_frames} d"]:
    """The embeddings h_1 ... h_T from h_0 and the encoded label."""
    frame = _Frame(self.num_frames, self.hidden_dim, name="frame")
    return frame(embedding, condition)


class _Frame(nn.Module):
  """The previous embedding and the condition give the next embedding, again and again."""

  num_frames: int
  hidden_dim: int

  @nn.compact
  def __call__(self, embedding, condition):
    embedding_dim = embedding.shape[-1]
    inputs, recurrent, bias = _LSTMWeights(
      self.hidden_dim, name="OptimizedLSTMCell_0"
    )(embedding_dim + condition.shape[-1])
    step, step_bias = _Affine(embedding_dim, kernel_init=_small, name="step")(
      self.hidden_dim
    )
    weights = {
      "embedding": inputs[:embedding_dim],
      "recurrent": recurrent,
      "step": step,
    }
    # "Input at all time steps", so that its product is the same at each.
    given = condition @ inputs[embedding_dim:] + bias[None]
    constants = given, step_bias[None]
    carry = _blank(embedding, self.hidden_dim), embedding
    embeddings = _unroll(
      _code_step, self.num_frames, weights, constants, carry, None
    )
    return embeddings.swapaxes(0, 1)


def _code_step(multiply, constants, carry, _):
  given, step_bias = constants
  memory, embedding = carry
  gates = (
    given + multiply("embedding", embedding) + multiply("recurrent", memory[1])
  )
  memory = _cell(memory, gates)
  embedding = embedding + multiply("step", memory[1]) + step_bias
  return (memory, embedding), embedding


def _mode_step(multiply, _, memory, gates):
  memory = _cell(memory, gates + multiply("recurrent", memory[1]))
  return memory, memory[1]


class ModeBank(nn.Module):
  """K LSTMs with weights of their own over the same embeddings (section 3.3).

  With `shared_start` a mode sums steps away from the conditional embeddings, so that
  all modes leave from the same neutral face and grow apart (ours); without, it
  puts out its embeddings directly, which is the paper's form.
  """

  num_modes: int = 3
  hidden_dim: int = 512
  shared_start: bool = True

  @nn.compact
  def __call__(
    self, embeddings: Float[Array, "b t d"]
  ) -> Float[Array, "{self.num_modes} b t d"]:
    """The embeddings h_1 ... h_T to the K sequences h_1k ... h_Tk."""
    weights = nn.vmap(
      _ModeWeights,
      variable_axes={"params": 0},  # weights gain a leading mode axis
      split_rngs={"params": True},  # so that no two modes start alike
      in_axes=None,
      axis_size=self.num_modes,
    )(self.hidden_dim, embeddings.shape[-1], self.shared_start, name="modes")
    inputs, recurrent, bias, output, output_bias = weights()
    gates = (
      jnp.einsum("btd,mdg->mtbg", embeddings, inputs) + bias[:, None, None]
    )
    hidden = _unroll_modes({"recurrent": recurrent}, gates)
    made = jnp.einsum("mtbh,mhd->mbtd", hidden, output)
    made = made + output_bias[:, None, None]
    return embeddings[None] + jnp.cumsum(made, 2) if self.shared_start else made


class _ModeWeights(nn.Module):
  """One LSTM's and its output's."""

  hidden_dim: int
  embedding_dim: int
  shared_start: bool

  @nn.compact
  def __call__(self):
    init = _small if self.shared_start else nn.initializers.lecun_normal()
    output = _Affine(self.embedding_dim, kernel_init=init, name="output")
    lstm = _LSTMWeights(self.hidden_dim, name="lstm")
    return *lstm(self.embedding_dim), *output(self.hidden_dim)


def _unroll_modes(weights, gates):
  """Each mode's LSTM: in one batched product a step, or on a CPU, where that
  takes twice as long, mode by mode."""

  def unroll(weights, gates):
    blank = _blank(gates[0], gates.shape[-1] // 4)
    return _unroll(_mode_step, len(gates), weights, None, blank, gates)

  def one_by_one(weights, gates):
    return jnp.stack(
      [
        unroll(jax.tree.map(operator.itemgetter(mode), weights), gates[mode])
        for mode in range(len(gates))
      ]
    )

  return lax.platform_dependent(
    weights, gates, cpu=one_by_one, default=jax.vmap(unroll)
  )


class ModeDiscriminator(nn.Module):
  """Names the mode from its average over time: linear and softmax (eq. 3)."""

  num_modes: int = 3

  @nn.compact
  def __call__(
    self, averages: Float[Array, "m b d"]
  ) -> Float[Array, "m b {self.num_modes}"]:
    """The logits of the modes."""
    return nn.Dense(self.num_modes, name="linear")(averages)


class _LSTMWeights(nn.Module):
  """An LSTM's weights, by the names that `nn.OptimizedLSTMCell` gives them."""

  hidden_dim: int

  @nn.compact
  def __call__(self, input_dim):
    """The products of the inputs [d, 4h] and of the last output [h, 4h], and
    the bias [4h], for the gates i, f, g and o."""
    dim = self.hidden_dim
    inputs = [
      _Affine(dim, use_bias=False, name=f"i{gate}")(input_dim)[0]
      for gate in "ifgo"
    ]
    recurrent, biases = zip(
      *(
        _Affine(dim, kernel_init=_recurrent, name=f"h{gate}")(dim)
        for gate in "ifgo"
      ),
      strict=True,
    )
    return (
      jnp.concatenate(inputs, 1),
      jnp.concatenate(recurrent, 1),
      jnp.concatenate(biases),
    )


class _Affine(nn.Module):
  """The weights of a dense layer, which is applied elsewhere."""

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, input_dim):
    shape = input_dim, self.features
    kernel = self.param("kernel", self.kernel_init, shape)
    if not self.use_bias:
      return kernel, None
    zeros = nn.initializers.zeros_init()
    return kernel, self.param("bias", zeros, (self.features,))


def _cell(memory, gates):
  """An LSTM's next memory and output, from both before and the gates' sums."""
  i, f, g, o = jnp.split(gates, 4, axis=-1)
  kept = nn.sigmoid(f) * memory[0] + nn.sigmoid(i) * jnp.tanh(g)
  return kept, nn.sigmoid(o) * jnp.tanh(kept)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _unroll(
  step: Callable[..., tuple[Any, jax.Array]],
  num_frames: int,
  weights: Mapping[str, jax.Array],
  constants: Any,
  carry: Any,
  inputs: Any,
) -> jax.Array:
  """`lax.scan` of a step whose weights get their gradient after the scan.

  Differentiated as it is, a scan adds up a gradient of the weights' size at
  each step, outer product by outer product; here all steps' vectors are kept
  and multiplied at once.

  Args:
    step: `step(multiply, constants, carry, input) -> carry, output`, where
      `multiply(name, vectors)` is their product with that of the weights, once
      each.
    num_frames: steps.
    weights: matrices, by name.
    constants: the same at each step.
    carry: before the first; arrays [b, *].
    inputs: of each step, along the first axis.

  Returns:
    The outputs, stacked along the first axis.
  """

  def multiply(name, vectors):
    return vectors @ weights[name]

  scanned = functools.partial(step, multiply, constants)
  return lax.scan(scanned, carry, inputs, num_frames)[1]


def _unroll_forward(step, num_frames, weights, constants, carry, inputs):
  def nudged(constants, carry, inputs, nudges):
    def scanned(carry, given):
      inputs, nudges = given
      met = {}

      def multiply(name, vectors):
        met[name] = vectors
        return vectors @ weights[name] + nudges[name]

      carry, output = step(multiply, constants, carry, inputs)
      return carry, (output, met)

    return lax.scan(scanned, carry, (inputs, nudges), num_frames)[1]

  # Nothing is added to the products; its gradient is that of the products.
  batch = jax.tree.leaves(carry)[0].shape[0]
  nudges = {
    name: jnp.zeros((num_frames, batch, kernel.shape[1]), kernel.dtype)
    for name, kernel in weights.items()
  }
  made, transpose, met = jax.vjp(
    nudged, constants, carry, inputs, nudges, has_aux=True
  )
  return made, (transpose, met)


def _unroll_backward(step, num_frames, saved, gradient):
  transpose, met = saved
  *others, products = transpose(gradient)
  weights = {
    name: jnp.einsum("tbi,tbo->io", met[name], product)
    for name, product in products.items()
  }
  return weights, *others


_unroll.defvjp(_unroll_forward, _unroll_backward)


def _blank(like: jax.Array, hidden_dim: int):
  """An LSTM's first memory."""
  zeros = jnp.zeros((like.shape[0], hidden_dim), like.dtype)
  return zeros, zeros

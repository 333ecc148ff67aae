"""The recurrent networks: their sizes, what they do, and PyTorch's LSTM."""

import jax
import jax.numpy as jnp
import numpy as np
import parameter_counts
import pytest
from parameter_counts import num_parameters

from cmm_jax.networks import lstm

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def initialize(module, *inputs):
  return jax.jit(module.init)(jax.random.key(0), *inputs)


# -------------------------------------------------------------- the roll-out


def test_the_conditional_lstm_maps_embedding_and_label_to_an_embedding():
  embedding, label = jnp.zeros((1, 100)), jnp.zeros((1, 2))

  found = num_parameters(lstm.ConditionalLSTM(), embedding, label)

  assert found == parameter_counts.lstm(100 + 2, 512) + (512 + 1) * 100


def test_an_untrained_roll_out_stays_at_its_first_embedding():
  network = lstm.ConditionalLSTM(8, 16)
  embedding = jax.random.normal(jax.random.key(1), (4, 10))
  label = jax.nn.one_hot(jnp.array([0, 1, 0, 1]), 2)
  variables = initialize(network, embedding, label)

  embeddings = jax.jit(network.apply)(variables, embedding, label)

  assert embeddings.shape == (4, 8, 10)
  gaps = jnp.abs(embeddings - embedding[:, None])
  assert 0 < gaps[:, 0].max() < 0.2  # one increment
  assert gaps.mean() < 0.5


def test_the_label_changes_every_frame():
  network = lstm.ConditionalLSTM(8, 16)
  embedding, label = jnp.ones((2, 10)), jnp.eye(2)
  variables = initialize(network, embedding, label)

  first, second = jax.jit(network.apply)(variables, embedding, label)

  assert jnp.abs(first - second).max(axis=-1).min() > 0


def test_weights_for_another_scale_of_the_label_give_the_same_embeddings():
  embedding, label = jnp.ones((2, 10)), jnp.eye(2)
  scaled = lstm.ConditionalLSTM(8, 16, condition_scale=10.0)
  variables = initialize(scaled, embedding, label)
  expected = jax.jit(scaled.apply)(variables, embedding, label)
  plain = jax.jit(lstm.ConditionalLSTM(8, 16).apply)

  adapted = lstm.replace_condition(jax.device_get(variables), [0, 1], 10.0)

  np.testing.assert_allclose(
    plain(adapted, embedding, label), expected, rtol=1e-5, atol=1e-6
  )
  # Not because the label did not matter.
  gap = jnp.abs(plain(variables, embedding, label) - expected).max()
  assert gap > 1e-3


# ------------------------------------------------------------------- the modes


@pytest.mark.parametrize("shared_start", [False, True])
@pytest.mark.parametrize("num_modes", [1, 3, 5])
def test_each_mode_has_parameters_of_its_own(num_modes, shared_start):
  bank = lstm.ModeBank(num_modes, shared_start=shared_start)

  found = num_parameters(bank, jnp.zeros((1, 32, 100)))

  of_one = parameter_counts.lstm(100, 512) + (512 + 1) * 100
  assert found == num_modes * of_one


def test_untrained_modes_share_their_start_and_differ():
  bank = lstm.ModeBank(3, 16)
  embeddings = jax.random.normal(jax.random.key(1), (4, 8, 10))
  variables = initialize(bank, embeddings)

  modes = jax.jit(bank.apply)(variables, embeddings)

  gaps = jnp.linalg.norm(modes - embeddings[None], axis=-1)  # [m b t]
  size = jnp.linalg.norm(embeddings, axis=-1).mean()
  assert gaps[:, :, 0].max() < 0.1 * size  # leaves from the embeddings
  assert gaps[:, :, -1].mean() > gaps[:, :, 0].mean()  # and grows apart
  for leaf in jax.tree.leaves(variables["params"]):
    assert leaf.shape[0] == 3
    if leaf.ndim > 2:  # kernels; all biases start at zero
      assert not np.array_equal(leaf[0], leaf[1])
  assert jnp.abs(modes[0] - modes[1]).max() > 0


def test_modes_in_the_papers_form_predict_their_embeddings_directly():
  bank = lstm.ModeBank(3, 16, shared_start=False)
  embeddings = 100 + jnp.zeros((1, 8, 10))
  variables = initialize(bank, embeddings)

  modes = jax.jit(bank.apply)(variables, embeddings)

  assert jnp.abs(modes).max() < 50  # no increments to the embeddings


def test_a_mode_does_not_look_ahead():
  bank = lstm.ModeBank(2, 16)
  embeddings = jax.random.normal(jax.random.key(1), (1, 8, 10))
  variables = initialize(bank, embeddings)
  apply = jax.jit(bank.apply)

  changed = apply(variables, embeddings.at[:, 5:].set(0))
  same = apply(variables, embeddings)

  np.testing.assert_array_equal(changed[:, :, :5], same[:, :, :5])
  assert not np.array_equal(changed[:, :, 5:], same[:, :, 5:])


def test_the_mode_discriminator_is_one_linear_layer():
  found = num_parameters(lstm.ModeDiscriminator(3), jnp.zeros((3, 1, 100)))

  assert found == (100 + 1) * 3


# ------------------------------------------------------------ against PyTorch


def random_params(network, *inputs):
  """Biases too, of a size that saturates some gates."""
  random = np.random.default_rng(0)
  shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
  return jax.tree.map(
    lambda leaf: jnp.asarray(random.normal(0, 0.5, leaf.shape), jnp.float32),
    shapes["params"],
  )


def outputs_and_gradients(network, params, inputs, cotangent):
  """The outputs, and the gradients with respect to params and inputs."""

  @jax.jit
  def run(params, *inputs):
    outputs, vjp = jax.vjp(
      lambda params, *inputs: network.apply({"params": params}, *inputs),
      params,
      *inputs,
    )
    return outputs, vjp(cotangent)

  return run(params, *inputs)


def to_torch(torch, array):
  return torch.tensor(np.asarray(array), requires_grad=True)


def stacked_gates(params, side, name):
  """Flax's parameters of the four gates in PyTorch's order."""
  return np.concatenate(
    [np.transpose(params[f"{side}{g}"][name]) for g in "ifgo"]
  )


def copy_lstm(torch, layer, params, suffix):
  """Copies an LSTM to PyTorch, whose second bias becomes zero."""
  bias = stacked_gates(params, "h", "bias")
  with torch.no_grad():
    for name, array in (
      ("weight_ih", stacked_gates(params, "i", "kernel")),
      ("weight_hh", stacked_gates(params, "h", "kernel")),
      ("bias_hh", bias),
      ("bias_ih", np.zeros_like(bias)),
    ):
      getattr(layer, name + suffix).copy_(torch.from_numpy(array))


def check_lstm_gradients(layer, gradients, suffix):
  for side, name in (("i", "weight_ih"), ("h", "weight_hh")):
    np.testing.assert_allclose(
      stacked_gates(gradients, side, "kernel"),
      getattr(layer, name + suffix).grad,
      **TOLERANCE,
    )
  np.testing.assert_allclose(
    stacked_gates(gradients, "h", "bias"),
    getattr(layer, f"bias_hh{suffix}").grad,
    **TOLERANCE,
  )


@pytest.mark.parametrize("num_modes", [1, 3])
def test_each_mode_is_pytorchs_lstm_with_its_gradients(num_modes):
  torch = pytest.importorskip("torch")
  random = np.random.default_rng(1)
  embeddings = jnp.asarray(random.normal(size=(2, 5, 3)), jnp.float32)
  cotangent = random.normal(size=(num_modes, 2, 5, 3)).astype(np.float32)
  bank = lstm.ModeBank(num_modes, hidden_dim=4)
  params = random_params(bank, embeddings)

  outputs, (gradients, input_gradient) = outputs_and_gradients(
    bank, params, [embeddings], cotangent
  )

  inputs = to_torch(torch, embeddings)
  for mode in range(num_modes):
    own, found = (
      jax.tree.map(lambda leaf, mode=mode: np.array(leaf[mode]), tree["modes"])
      for tree in (params, gradients)
    )
    layer = torch.nn.LSTM(3, 4, batch_first=True)
    copy_lstm(torch, layer, own["lstm"], "_l0")
    kernel = to_torch(torch, own["output"]["kernel"])
    bias = to_torch(torch, own["output"]["bias"])
    wanted = inputs + (layer(inputs)[0] @ kernel + bias).cumsum(1)
    (wanted * torch.from_numpy(cotangent[mode])).sum().backward()

    np.testing.assert_allclose(outputs[mode], wanted.detach(), **TOLERANCE)
    check_lstm_gradients(layer, found["lstm"], "_l0")
    np.testing.assert_allclose(
      found["output"]["kernel"], kernel.grad, **TOLERANCE
    )
    np.testing.assert_allclose(found["output"]["bias"], bias.grad, **TOLERANCE)
  np.testing.assert_allclose(input_gradient, inputs.grad, **TOLERANCE)


def test_the_roll_out_is_pytorchs_cell_with_its_gradients():
  torch = pytest.importorskip("torch")
  random = np.random.default_rng(2)
  embedding = jnp.asarray(random.normal(size=(2, 3)), jnp.float32)
  label = jnp.asarray(random.normal(size=(2, 2)), jnp.float32)
  cotangent = random.normal(size=(2, 5, 3)).astype(np.float32)
  network = lstm.ConditionalLSTM(num_frames=5, hidden_dim=4)
  params = random_params(network, embedding, label)

  outputs, (gradients, *input_gradients) = outputs_and_gradients(
    network, params, [embedding, label], cotangent
  )

  own = jax.tree.map(np.array, params["frame"])
  cell = torch.nn.LSTMCell(3 + 2, 4)
  copy_lstm(torch, cell, own["OptimizedLSTMCell_0"], "")
  kernel = to_torch(torch, own["step"]["kernel"])
  bias = to_torch(torch, own["step"]["bias"])
  first, condition = to_torch(torch, embedding), to_torch(torch, label)
  current, state, wanted = first, None, []
  for _ in range(5):
    state = cell(torch.cat([current, condition], 1), state)
    current = current + state[0] @ kernel + bias
    wanted.append(current)
  wanted = torch.stack(wanted, 1)
  (wanted * torch.from_numpy(cotangent)).sum().backward()

  np.testing.assert_allclose(outputs, wanted.detach(), **TOLERANCE)
  found = gradients["frame"]
  check_lstm_gradients(cell, found["OptimizedLSTMCell_0"], "")
  np.testing.assert_allclose(found["step"]["kernel"], kernel.grad, **TOLERANCE)
  np.testing.assert_allclose(found["step"]["bias"], bias.grad, **TOLERANCE)
  np.testing.assert_allclose(input_gradients[0], first.grad, **TOLERANCE)
  np.testing.assert_allclose(input_gradients[1], condition.grad, **TOLERANCE)

"""The recurrent networks against PyTorch's LSTM with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.networks import lstm

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def weights_of(network, *inputs, seed=0):
  """New weights, biases too, of a size that saturates some gates."""
  random = np.random.default_rng(seed)
  shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
  return jax.tree.map(
    lambda leaf: jnp.asarray(random.normal(0, 0.5, leaf.shape), jnp.float32),
    shapes["params"],
  )


def gradients(network, params, inputs, by):
  """The outputs, and the gradients of their product with `by`."""

  def product(params, *inputs):
    made = network.apply({"params": params}, *inputs)
    return jnp.vdot(made, by), made

  slopes = jax.grad(product, argnums=range(len(inputs) + 1), has_aux=True)
  found, made = jax.jit(slopes)(params, *inputs)
  return made, found


def to_torch(torch, array):
  return torch.tensor(np.asarray(array), requires_grad=True)


def fill_lstm(torch, layer, params, end):
  """Our weights of an LSTM in PyTorch's; its second bias is nothing."""

  def rows(side, what):
    return np.concatenate([params[f"{side}{g}"][what].T for g in "ifgo"])

  with torch.no_grad():
    for name, array in (
      (f"weight_ih{end}", rows("i", "kernel")),
      (f"weight_hh{end}", rows("h", "kernel")),
      (f"bias_hh{end}", rows("h", "bias")),
      (f"bias_ih{end}", 0 * rows("h", "bias")),
    ):
      getattr(layer, name).copy_(torch.from_numpy(array))


def check_lstm(layer, slopes, end):
  """PyTorch's gradients of an LSTM against ours."""
  for side, name in (("i", "weight_ih"), ("h", "weight_hh")):
    ours = np.concatenate([slopes[f"{side}{g}"]["kernel"].T for g in "ifgo"])
    theirs = getattr(layer, f"{name}{end}").grad
    np.testing.assert_allclose(ours, theirs, **TOLERANCE)
  ours = np.concatenate([slopes[f"h{g}"]["bias"] for g in "ifgo"])
  theirs = getattr(layer, f"bias_hh{end}").grad
  np.testing.assert_allclose(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize("num_modes", [1, 3])
def test_each_mode_is_pytorchs_lstm_with_its_gradients(num_modes):
  torch = pytest.importorskip("torch")
  random = np.random.default_rng(1)
  embeddings = jnp.asarray(random.normal(size=(2, 5, 3)), jnp.float32)
  by = random.normal(size=(num_modes, 2, 5, 3)).astype(np.float32)
  bank = lstm.ModeBank(num_modes, hidden_dim=4)
  params = weights_of(bank, embeddings)

  made, (slopes, slope) = gradients(bank, params, [embeddings], by)

  read = to_torch(torch, embeddings)
  for mode in range(num_modes):
    own = jax.tree.map(lambda leaf, mode=mode: np.array(leaf[mode]), params)
    layer = torch.nn.LSTM(3, 4, batch_first=True)
    fill_lstm(torch, layer, own["modes"]["lstm"], "_l0")
    output = to_torch(torch, own["modes"]["output"]["kernel"])
    bias = to_torch(torch, own["modes"]["output"]["bias"])
    theirs = read + (layer(read)[0] @ output + bias).cumsum(1)
    (theirs * torch.from_numpy(by[mode])).sum().backward()

    np.testing.assert_allclose(made[mode], theirs.detach(), **TOLERANCE)
    found = jax.tree.map(lambda leaf, mode=mode: leaf[mode], slopes)["modes"]
    check_lstm(layer, found["lstm"], "_l0")
    np.testing.assert_allclose(
      found["output"]["kernel"], output.grad, **TOLERANCE
    )
    np.testing.assert_allclose(found["output"]["bias"], bias.grad, **TOLERANCE)
  np.testing.assert_allclose(slope, read.grad, **TOLERANCE)


def test_the_roll_out_is_pytorchs_cell_with_its_gradients():
  torch = pytest.importorskip("torch")
  random = np.random.default_rng(2)
  embedding = jnp.asarray(random.normal(size=(2, 3)), jnp.float32)
  label = jnp.asarray(random.normal(size=(2, 2)), jnp.float32)
  by = random.normal(size=(2, 5, 3)).astype(np.float32)
  network = lstm.ConditionalLSTM(num_frames=5, hidden_dim=4)
  params = weights_of(network, embedding, label)

  made, (slopes, *ours) = gradients(network, params, [embedding, label], by)

  own = jax.tree.map(np.array, params["frame"])
  cell = torch.nn.LSTMCell(3 + 2, 4)
  fill_lstm(torch, cell, own["OptimizedLSTMCell_0"], "")
  kernel = to_torch(torch, own["step"]["kernel"])
  bias = to_torch(torch, own["step"]["bias"])
  first, condition = to_torch(torch, embedding), to_torch(torch, label)
  current, memory, theirs = first, None, []
  for _ in range(5):
    memory = cell(torch.cat([current, condition], 1), memory)
    current = current + memory[0] @ kernel + bias
    theirs.append(current)
  theirs = torch.stack(theirs, 1)
  (theirs * torch.from_numpy(by)).sum().backward()

  np.testing.assert_allclose(made, theirs.detach(), **TOLERANCE)
  found = slopes["frame"]
  check_lstm(cell, found["OptimizedLSTMCell_0"], "")
  np.testing.assert_allclose(found["step"]["kernel"], kernel.grad, **TOLERANCE)
  np.testing.assert_allclose(found["step"]["bias"], bias.grad, **TOLERANCE)
  np.testing.assert_allclose(ours[0], first.grad, **TOLERANCE)
  np.testing.assert_allclose(ours[1], condition.grad, **TOLERANCE)

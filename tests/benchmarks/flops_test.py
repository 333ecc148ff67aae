"""How operations are counted."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from small_cases import small_case

from benchmarks import cases, flops
from benchmarks.cases import Case
from cmm_jax.networks import layers, lstm, translator
from cmm_jax.ops import conv4x4


def test_a_convolutions_operations_are_those_with_pixels():
  found = flops.count(layers.Downsample(5), (1, 8, 8, 3))

  # Along an axis 4 windows of 4 taps, of which the outer two lose one each: 14
  # products for each of 3 inputs and 5 outputs, each with an addition.
  assert found.forward == 2 * 14 * 14 * 3 * 5
  assert found.trained == 3 * found.forward
  assert found.trained_on_data == 2 * found.forward


def test_an_lstms_operations_are_those_of_all_frames():
  bank = lstm.ModeBank(num_modes=2, hidden_dim=4)

  found = flops.count(bank, (1, 5, 3))

  # 2 modes, 5 frames; 4 gates of 4 from 3 + 4, then 3 from 4
  assert found.forward == 2 * 2 * 5 * (4 * 4 * (3 + 4) + 4 * 3)


@pytest.mark.parametrize("transposed", [False, True])
def test_xla_counts_as_many_operations_in_a_layer(transposed):
  kernel = jnp.zeros((4, 4, 3, 5))
  if transposed:
    layer, function = layers.Upsample(3), conv4x4.conv_transpose
    images = jnp.zeros((2, 4, 4, 5))
  else:
    layer, function = layers.Downsample(5), conv4x4.conv
    images = jnp.zeros((2, 8, 8, 3))

  lowered = jax.jit(lambda x: function(x, kernel, "xla")).lower(images)

  found = flops.count(layer, images.shape).forward
  assert found == lowered.cost_analysis()["flops"]


def test_xla_counts_as_many_operations_in_a_network(monkeypatch):
  monkeypatch.setenv(conv4x4.ENVIRONMENT_VARIABLE, "xla")
  network, face = translator.Discriminator(64), jnp.zeros((1, 64, 64, 3))
  variables = jax.eval_shape(network.init, jax.random.key(0), face, face)

  lowered = jax.jit(network.apply).lower(variables, face, face)

  # XLA also counts normalizations and activations.
  found = flops.count(network, face.shape, face.shape).forward
  assert 0.99 < found / lowered.cost_analysis()["flops"] <= 1


def test_every_case_is_counted_and_grows_with_its_batch():
  for kind in {case.kind for case in cases.CASES.values()}:
    case = small_case(kind)
    twice = Case(kind, kind, 2 * case.clips, case.frames, sizes=case.sizes)

    found = flops.count_case(case)

    assert flops.count_case(twice) == pytest.approx(2 * found) != 0


def test_a_matrix_product_has_two_operations_per_pair():
  # 2 products of 8x8 matrices
  assert flops.count_case(small_case("matmul")) == 2 * 2 * 8**3


def test_an_unused_head_is_not_counted():
  network = flops.Pass({"trunk": 10.0, "mean": 1.0, "unused": 1.0})

  assert network.without("unused").forward == 11.0
  assert flops.count(nn.Dense(3), (2, 5)).forward == 2 * 2 * 5 * 3

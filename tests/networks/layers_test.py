"""The layers that the networks share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.networks import layers


@pytest.mark.parametrize(
  ("layer", "shape", "wanted"),
  [
    (layers.Downsample(5), (2, 8, 6, 3), (2, 4, 3, 5)),
    (layers.Upsample(5), (2, 4, 3, 3), (2, 8, 6, 5)),
    (layers.DownsampleVideo(5), (2, 4, 8, 6, 3), (2, 2, 4, 3, 5)),
    (layers.UpsampleVideo(5), (2, 2, 4, 3, 3), (2, 4, 8, 6, 5)),
    (layers.DenseHead(5), (2, 4, 4, 3), (2, 5)),
    (layers.DenseStem(5), (2, 3), (2, 4, 4, 5)),
  ],
)
def test_layers_keep_the_dtype_and_have_float32_parameters(
  layer, shape, wanted
):
  x = jax.ShapeDtypeStruct(shape, jnp.bfloat16)

  outputs, variables = jax.eval_shape(
    layer.init_with_output, jax.random.key(0), x
  )

  assert outputs.shape == wanted
  assert outputs.dtype == jnp.bfloat16
  for leaf in jax.tree.leaves(variables):
    assert leaf.dtype == jnp.float32


@pytest.mark.parametrize(
  ("layer", "shape"),
  [
    (layers.Downsample(256), (2, 16, 16, 64)),
    (layers.Upsample(256), (2, 16, 16, 64)),
    (layers.DownsampleVideo(64), (1, 8, 8, 8, 32)),
    (layers.UpsampleVideo(64), (1, 8, 8, 8, 32)),
  ],
)
def test_initial_kernels_keep_the_variance_after_a_leaky_relu(layer, shape):
  x = jax.random.normal(jax.random.key(0), shape)

  outputs, _ = jax.jit(layer.init_with_output)(jax.random.key(1), x)

  # Of zero-mean inputs LeakyReLU keeps (1 + 0.2^2) / 2 of the second moment.
  activations = layers.leaky_relu(outputs)
  inner = activations[(slice(None), *[slice(1, -1)] * (len(shape) - 2))]
  assert 0.85 < jnp.mean(jnp.square(inner)) < 1.15


def test_batch_norm_takes_a_tenth_of_the_new_statistics():
  network = layers.BatchNorm()
  x = jnp.array([1.0, 3.0])[:, None, None, None]  # mean 2, variance 1
  variables = network.init(jax.random.key(0), x, False)

  outputs, changed = network.apply(variables, x, True, mutable=["batch_stats"])

  np.testing.assert_allclose(outputs.ravel(), [-1, 1], atol=1e-4)
  statistics = changed["batch_stats"]["norm"]
  np.testing.assert_allclose(statistics["mean"], [0.2], rtol=1e-5)
  np.testing.assert_allclose(statistics["var"], [1.0], rtol=1e-5)


def test_channels_double_up_to_eight_times_the_width():
  assert layers.pyramid(64, 16, 6) == (16, 32, 64, 128, 128, 128)
  assert layers.levels_down_to(64, 4) == 4


def test_an_image_size_that_does_not_halve_is_named():
  with pytest.raises(ValueError, match="20 pixels cannot be halved 3 times"):
    layers.pyramid(20, 8, 3)
  with pytest.raises(ValueError, match="48 pixels do not halve down to 4"):
    layers.levels_down_to(48, 4)

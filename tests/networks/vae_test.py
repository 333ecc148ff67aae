"""The VAE."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameter_counts import conv, num_parameters, shapes_of

from cmm_jax.networks import vae


def images(side=64, channels=1, batch=1):
  return jnp.zeros((batch, side, side, channels))


def test_it_has_the_papers_layers():
  encoder = (
    conv(1, 64, bias=True)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + 2 * conv(512, 100, bias=True)  # mean and log-variance
  )
  decoder = (
    conv(100, 512, norm=True)
    + conv(512, 256, norm=True)
    + conv(256, 128, norm=True)
    + conv(128, 64, norm=True)
    + conv(64, 1, bias=True)
  )

  assert num_parameters(vae.ImageVAE(), images()) == encoder + decoder
  of_faces = encoder + conv(3 - 1, 64) + decoder + conv(64, 3 - 1) + (3 - 1)
  network = vae.ImageVAE(image_channels=3)
  assert num_parameters(network, images(channels=3)) == of_faces


def test_the_decoder_mirrors_the_encoder():
  params = shapes_of(vae.ImageVAE(), images())["params"]
  down = [params["encoder"][f"conv_{i}"]["kernel"].shape for i in range(4)]
  up = [params["decoder"][f"conv_{i}"]["kernel"].shape for i in range(4, 0, -1)]

  # Both kernels are [4 4 large small], so mirrored layers have equal shapes.
  assert down == up
  assert [shape[-1] for shape in down] == [64, 128, 256, 512]


@pytest.mark.parametrize("side", [64, 128])
def test_decoded_images_have_the_size_of_the_encoded_ones(side):
  network = vae.ImageVAE(10, 4, side)
  variables = shapes_of(network, images(side))

  mean, log_variance, logits = jax.eval_shape(
    network.apply, variables, images(side, batch=2)
  )

  assert mean.shape == log_variance.shape == (2, 10)
  assert logits.shape == (2, side, side, 1)


def test_an_image_size_that_does_not_halve_is_named():
  with pytest.raises(ValueError, match="48 pixels do not halve down to 4"):
    shapes_of(vae.ImageVAE(10, 4, 48), images(48))


def test_running_statistics_change_in_training_alone():
  network = vae.ImageVAE(8, 2)
  random_images = jax.random.uniform(jax.random.key(0), (4, 64, 64, 1))
  variables = jax.jit(network.init)(jax.random.key(0), random_images)

  @functools.partial(jax.jit, static_argnums=0)
  def statistics_after(train):
    _, changed = network.apply(
      variables, random_images, train, mutable=["batch_stats"]
    )
    return jax.tree.leaves(changed["batch_stats"])

  before = jax.tree.leaves(variables["batch_stats"])
  assert len(before) == 2 * (3 + 4)  # mean and variance of each BatchNorm
  for old, used, trained in zip(
    before, statistics_after(False), statistics_after(True), strict=True
  ):
    np.testing.assert_array_equal(old, used)
    assert not np.array_equal(old, trained)


def test_in_bfloat16_weights_and_outputs_stay_float32():
  network = vae.ImageVAE(8, 2, dtype=jnp.bfloat16)

  outputs, variables = jax.eval_shape(
    network.init_with_output, jax.random.key(0), images()
  )

  for leaf in jax.tree.leaves((outputs, variables)):
    assert leaf.dtype == jnp.float32

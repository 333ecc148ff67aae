"""The translator and its discriminator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameter_counts import conv, num_parameters, shapes_of

from cmm_jax.networks import translator


def faces(side=64, batch=1):
  return jnp.zeros((batch, side, side, 3))


def landmark_images(side=64, batch=1):
  return jnp.zeros((batch, side, side, 1))


@pytest.mark.parametrize(
  ("output", "channels"), [("image", 3), ("residual", 3), ("motion", 6)]
)
def test_the_translator_has_the_papers_layers(output, channels):
  down = (  # section 4.1: BatchNorm on all but the first and the last
    conv(4, 64)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + conv(512, 512, norm=True)
    + conv(512, 512)
  )
  up = (  # twice the channels from the second on: skip connections
    conv(512, 512, norm=True)
    + conv(1024, 512, norm=True)
    + conv(1024, 256, norm=True)
    + conv(512, 128, norm=True)
    + conv(256, 64, norm=True)
  )
  network = translator.Translator(output=output)

  found = num_parameters(network, faces(), landmark_images())

  assert found == down + up + conv(128, channels, bias=True)
  if channels == 3:
    assert found == 29_245_059


def test_the_discriminator_has_the_papers_layers():
  wanted = (
    conv(6, 64, bias=True)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + conv(512, 1, bias=True)
  )

  found = num_parameters(translator.Discriminator(), faces(), faces())

  assert found == wanted == 2_768_705
  of_one_face = num_parameters(translator.Discriminator(), faces())
  assert of_one_face == wanted - conv(3, 64)


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("output", translator.OUTPUTS)
def test_faces_keep_their_size(side, output):
  network = translator.Translator(4, side, output=output)
  inputs = faces(side, 2), landmark_images(side, 2)

  def translate(variables, *inputs):
    return network.apply(variables, *inputs).faces

  translated = jax.eval_shape(translate, shapes_of(network, *inputs), *inputs)

  assert translated.shape == (2, side, side, 3)


@pytest.mark.parametrize("side", [64, 128])
def test_the_discriminator_gives_a_logit_per_patch(side):
  network = translator.Discriminator(4)
  inputs = faces(side, 2), faces(side, 2)

  logits = jax.eval_shape(network.apply, shapes_of(network, *inputs), *inputs)

  patches = side // 8 - 2  # halved three times, then twice one less
  assert logits.shape == (2, patches, patches, 1)


def test_the_residual_starts_at_the_neutral_face():
  neutral = jax.random.uniform(
    jax.random.key(0), (1, 64, 64, 3), minval=-0.9, maxval=0.9
  )
  network = translator.Translator(4, output="residual")
  inputs = neutral, landmark_images()
  variables = jax.jit(network.init)(jax.random.key(0), *inputs)
  last = variables["params"]["up_5"]
  zeros = {"up_5": jax.tree.map(jnp.zeros_like, last)}
  variables = variables | {"params": variables["params"] | zeros}

  translation = jax.jit(network.apply)(variables, *inputs)

  np.testing.assert_allclose(translation.faces, neutral, atol=1e-5)


def test_motion_moves_the_neutral_face_and_blends_in_new_pixels():
  neutral, new_pixels = jax.random.normal(jax.random.key(0), (2, 1, 8, 8, 3))
  flow = jnp.broadcast_to(jnp.array([1.0, 0.0]), (1, 8, 8, 2))
  mask = jnp.zeros((1, 8, 8, 1)).at[:, :, 4:].set(1)

  found = translator.compose(
    neutral, flow=flow, mask=mask, new_pixels=new_pixels
  ).faces

  moved = neutral[:, :, 1:5]
  np.testing.assert_allclose(found[:, :, :4], moved, atol=1e-6)
  np.testing.assert_allclose(found[:, :, 4:], new_pixels[:, :, 4:])

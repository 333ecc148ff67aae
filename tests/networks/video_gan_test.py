"""Video-GAN's generator and discriminator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameter_counts import conv, num_parameters, shapes_of

from cmm_jax.networks import video_gan


def faces(side=64, batch=1):
  return jnp.zeros((batch, side, side, 3))


def videos(side=64, frames=32, batch=1):
  return jnp.zeros((batch, frames, side, side, 3))


def test_the_generator_has_its_authors_layers():
  encoder = (
    conv(3, 128, bias=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + conv(512, 1024, norm=True)
  )
  background = (
    conv(1024, 512, norm=True)
    + conv(512, 256, norm=True)
    + conv(256, 128, norm=True)
    + conv(128, 3, bias=True)
  )
  foreground = (  # 4 weights in time for each of an image's layer
    2 * 1024 * 1024  # one feature map to two frames
    + 2 * 1024  # their BatchNorm
    + conv(4 * 1024, 512)
    + conv(4 * 512, 256)
    + conv(4 * 256, 128)
    + 2 * (512 + 256 + 128)  # BatchNorm
    + conv(4 * 128, 3 + 1)  # colors and mask
    + (3 + 1)
  )

  found = num_parameters(video_gan.VideoGenerator(), faces())

  assert found == encoder + background + foreground
  assert round(found / 1e6, 1) == 68.2


def test_the_discriminator_has_its_authors_layers():
  wanted = (
    conv(4 * 3, 128, bias=True)
    + conv(4 * 128, 256, norm=True)
    + conv(4 * 256, 512, norm=True)
    + conv(4 * 512, 1024, norm=True)
    + 2 * conv(1024, 2)
    + 2
  )

  found = num_parameters(video_gan.VideoDiscriminator(), videos())

  assert found == wanted
  assert round(found / 1e6, 1) == 44.1


@pytest.mark.parametrize("side", [64, 128])
def test_a_frame_gives_a_video_and_a_video_one_logit(side):
  generator = video_gan.VideoGenerator(4, image_size=side)
  discriminator = video_gan.VideoDiscriminator(4)

  def outputs(network, inputs):
    return jax.eval_shape(network.apply, shapes_of(network, inputs), inputs)

  made = outputs(generator, faces(side, batch=2))
  assert made.shape == (2, 32, side, side, 3)
  assert outputs(discriminator, videos(side, batch=2)).shape == (2, 1)


def test_a_number_of_frames_that_does_not_halve_is_named():
  with pytest.raises(ValueError, match="20 frames cannot be doubled 4 times"):
    shapes_of(video_gan.VideoGenerator(4, 20), faces())


def test_a_closed_mask_leaves_the_static_background():
  network = video_gan.VideoGenerator(2)
  first = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3), minval=-1)
  variables = jax.jit(network.init)(jax.random.key(0), first)
  params = variables["params"]
  head = params["foreground_3"]
  bias = head["bias"].at[3].set(-30.0)  # sigmoid(-30) is 1e-13
  kernel = head["kernel"].at[..., 3, :].set(0.0)
  closed = {"foreground_3": {"kernel": kernel, "bias": bias}}
  apply = jax.jit(network.apply)

  moving = apply(variables, first)
  static = apply({**variables, "params": {**params, **closed}}, first)

  assert jnp.abs(moving).max() <= 1
  assert jnp.abs(moving - moving[:, :1]).max() > 0.01
  np.testing.assert_allclose(
    static, jnp.broadcast_to(static[:, :1], static.shape), atol=1e-6
  )

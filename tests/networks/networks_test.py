"""The networks: sizes worked out from the paper's layers, and what they do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.networks import (
  layers,
  lstm,
  regressors,
  translator,
  vae,
  video_gan,
)


def shapes_of(module, *inputs, **kwargs):
  """The variables' shapes, without making them."""
  return jax.eval_shape(
    lambda: module.init(jax.random.key(0), *inputs, **kwargs)
  )


def first_weights(module, *inputs):
  return jax.jit(module.init)(jax.random.key(0), *inputs)


def num_weights(module, *inputs):
  leaves = jax.tree.leaves(shapes_of(module, *inputs)["params"])
  return sum(leaf.size for leaf in leaves)


def faces(side=64, batch=1):
  return jnp.zeros((batch, side, side, 3))


def landmark_images(side=64, batch=1):
  return jnp.zeros((batch, side, side, 1))


def clip(side=64, frames=32, batch=1):
  return jnp.zeros((batch, frames, side, side, 3))


def conv(inputs, outputs, bias=False, norm=False):
  """Weights of a 4x4 convolution, its bias, its BatchNorm's scale and shift."""
  return 16 * inputs * outputs + bias * outputs + norm * 2 * outputs


def lstm_parameters(inputs, hidden):
  """Four gates: from the input without bias, from the memory with one."""
  return 4 * hidden * (inputs + hidden) + 4 * hidden


# ----------------------------------------------------------- numbers of weights


@pytest.mark.parametrize("from_neutral", [False, True])
def test_the_translator_has_the_papers_layers(from_neutral):
  down = (  # section 4.1: BatchNorm on all but the first and the last
    conv(4, 64)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + conv(512, 512, norm=True)
    + conv(512, 512)
  )
  up = (  # from the second on, twice the channels: skips
    conv(512, 512, norm=True)
    + conv(1024, 512, norm=True)
    + conv(1024, 256, norm=True)
    + conv(512, 128, norm=True)
    + conv(256, 64, norm=True)
    + conv(128, 3, bias=True)
  )
  network = translator.Translator(from_neutral=from_neutral)

  found = num_weights(network, faces(), landmark_images())

  assert found == down + up == 29_245_059


def test_the_discriminator_has_the_papers_layers():
  wanted = (
    conv(6, 64, bias=True)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + conv(512, 1, bias=True)
  )

  found = num_weights(translator.Discriminator(), faces(), faces())

  assert found == wanted == 2_768_705
  on_one_face = num_weights(translator.Discriminator(), faces())
  assert on_one_face == wanted - conv(3, 64)


def test_the_vae_has_the_papers_layers():
  encoder = (
    conv(1, 64, bias=True)
    + conv(64, 128, norm=True)
    + conv(128, 256, norm=True)
    + conv(256, 512, norm=True)
    + 2 * conv(512, 100, bias=True)  # mean and deviation
  )
  decoder = (
    conv(100, 512, norm=True)
    + conv(512, 256, norm=True)
    + conv(256, 128, norm=True)
    + conv(128, 64, norm=True)
    + conv(64, 1, bias=True)
  )

  assert num_weights(vae.ImageVAE(), landmark_images()) == encoder + decoder
  on_faces = encoder + conv(3 - 1, 64) + decoder + conv(64, 3 - 1) + (3 - 1)
  assert num_weights(vae.ImageVAE(image_channels=3), faces()) == on_faces


def test_the_conditional_lstm_reads_code_and_label_and_gives_a_code():
  embedding, label = jnp.zeros((1, 100)), jnp.zeros((1, 2))

  found = num_weights(lstm.ConditionalLSTM(), embedding, label)

  assert found == lstm_parameters(100 + 2, 512) + (512 + 1) * 100


@pytest.mark.parametrize("shared_start", [False, True])
@pytest.mark.parametrize("num_modes", [1, 3, 5])
def test_each_mode_has_weights_of_its_own(num_modes, shared_start):
  bank = lstm.ModeBank(num_modes, shared_start=shared_start)

  found = num_weights(bank, jnp.zeros((1, 32, 100)))

  assert found == num_modes * (lstm_parameters(100, 512) + (512 + 1) * 100)


def test_the_mode_discriminator_is_one_linear_layer():
  found = num_weights(lstm.ModeDiscriminator(3), jnp.zeros((3, 1, 100)))

  assert found == (100 + 1) * 3


def test_video_gan_has_the_layers_of_its_authors():
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
  foreground = (  # in time 4 weights where an image's layer has one
    2 * 1024 * 1024  # two frames of one
    + 2 * 1024  # their BatchNorm
    + conv(4 * 1024, 512)
    + conv(4 * 512, 256)
    + conv(4 * 256, 128)
    + 2 * (512 + 256 + 128)  # BatchNorm
    + conv(4 * 128, 3 + 1)  # colour and mask
    + (3 + 1)
  )
  judge = (
    conv(4 * 3, 128, bias=True)
    + conv(4 * 128, 256, norm=True)
    + conv(4 * 256, 512, norm=True)
    + conv(4 * 512, 1024, norm=True)
    + 2 * conv(1024, 2)
    + 2
  )

  made = num_weights(video_gan.VideoGenerator(), faces())
  judged = num_weights(video_gan.VideoDiscriminator(), clip())

  assert made == encoder + background + foreground
  assert judged == judge
  assert round(made / 1e6, 1) == 68.2 and round(judged / 1e6, 1) == 44.1


# ----------------------------------------------------------------------- shapes


@pytest.mark.parametrize("side", [64, 128])
def test_pictures_keep_their_size(side):
  neutral, landmark_image = faces(side, 2), landmark_images(side, 2)

  def run(module, *inputs):
    variables = shapes_of(module, *inputs)
    return jax.eval_shape(module.apply, variables, *inputs)

  image_vae = vae.ImageVAE(10, 4, side)
  mean, log_variance, logits = run(image_vae, landmark_image)
  assert mean.shape == log_variance.shape == (2, 10)
  assert logits.shape == landmark_image.shape
  u_net = translator.Translator(4, side)
  assert run(u_net, neutral, landmark_image).shape == neutral.shape
  judge = translator.Discriminator(4)
  cells = side // 8 - 2  # three times halved, then twice one less
  assert run(judge, neutral, neutral).shape == (2, cells, cells, 1)
  points = regressors.LandmarkRegressor(4, side)
  assert run(points, landmark_image).shape == (2, 68, 2)
  units = regressors.ActionUnitRegressor(4, side)
  assert run(units, neutral, neutral).shape == (2, 2)
  gan = video_gan.VideoGenerator(4, image_size=side)
  assert run(gan, neutral).shape == (2, 32, side, side, 3)
  assert run(video_gan.VideoDiscriminator(4), clip(side, 32, 2)).shape == (2, 1)


def test_the_vaes_decoder_mirrors_its_encoder():
  params = shapes_of(vae.ImageVAE(), landmark_images())["params"]
  down = [params["encoder"][f"conv_{i}"]["kernel"].shape for i in range(4)]
  up = [params["decoder"][f"conv_{i}"]["kernel"].shape for i in range(4, 0, -1)]

  # Kernels of both lie as [4 4 large small], so the same layer is the same.
  assert down == up
  assert [shape[-1] for shape in down] == [64, 128, 256, 512]


def test_a_wrong_size_of_picture_is_named():
  with pytest.raises(ValueError, match="48 pixels do not halve down to 4"):
    shapes_of(vae.ImageVAE(10, 4, 48), landmark_images(48))
  with pytest.raises(ValueError, match="cannot be halved 3 times"):
    layers.pyramid(20, 8, 3)
  with pytest.raises(ValueError, match="20 frames cannot be doubled 4 times"):
    shapes_of(video_gan.VideoGenerator(4, 20), faces())


# -------------------------------------------------------------------- behaviour


def test_an_untrained_roll_out_stays_at_its_first_code():
  network = lstm.ConditionalLSTM(8, 16)
  embedding = jax.random.normal(jax.random.key(1), (4, 10))
  label = jax.nn.one_hot(jnp.array([0, 1, 0, 1]), 2)
  variables = first_weights(network, embedding, label)

  embeddings = jax.jit(network.apply)(variables, embedding, label)

  assert embeddings.shape == (4, 8, 10)
  gaps = jnp.abs(embeddings - embedding[:, None])
  assert 0 < gaps[:, 0].max() < 0.2  # one step
  assert gaps.mean() < 0.5


def test_the_label_is_felt_in_every_sequence():
  network = lstm.ConditionalLSTM(8, 16)
  embedding = jnp.ones((2, 10))
  label = jnp.eye(2)
  variables = first_weights(network, embedding, label)

  embeddings = jax.jit(network.apply)(variables, embedding, label)

  assert jnp.abs(embeddings[0] - embeddings[1]).min(axis=-1).max() > 0


def test_untrained_modes_share_their_start_and_differ():
  bank = lstm.ModeBank(3, 16)
  embeddings = jax.random.normal(jax.random.key(1), (4, 8, 10))
  variables = first_weights(bank, embeddings)

  modes = jax.jit(bank.apply)(variables, embeddings)

  gaps = jnp.linalg.norm(modes - embeddings[None], axis=-1)  # [m b t]
  size = jnp.linalg.norm(embeddings, axis=-1).mean()
  assert gaps[:, :, 0].max() < 0.1 * size  # leaves from the embeddings
  assert gaps[:, :, -1].mean() > gaps[:, :, 0].mean()  # and grows apart
  for leaf in jax.tree.leaves(variables["params"]):
    assert leaf.shape[0] == 3
    if leaf.ndim > 2:  # kernels; biases start at zero for all
      assert not np.array_equal(leaf[0], leaf[1])
  assert jnp.abs(modes[0] - modes[1]).max() > 0


def test_modes_as_printed_put_out_codes_of_their_own():
  bank = lstm.ModeBank(3, 16, shared_start=False)
  embeddings = 100 + jnp.zeros((1, 8, 10))
  variables = first_weights(bank, embeddings)

  modes = jax.jit(bank.apply)(variables, embeddings)

  assert jnp.abs(modes).max() < 50  # not steps away from the embeddings


def test_a_mode_does_not_look_ahead():
  bank = lstm.ModeBank(2, 16)
  embeddings = jax.random.normal(jax.random.key(1), (1, 8, 10))
  variables = first_weights(bank, embeddings)

  apply = jax.jit(bank.apply)

  changed = apply(variables, embeddings.at[:, 5:].set(0))
  same = apply(variables, embeddings)

  np.testing.assert_array_equal(changed[:, :, :5], same[:, :, :5])


def test_from_neutral_starts_at_the_neutral_face():
  neutral = jax.random.uniform(
    jax.random.key(0), (1, 64, 64, 3), minval=-0.9, maxval=0.9
  )
  u_net = translator.Translator(4, from_neutral=True)
  variables = first_weights(u_net, neutral, landmark_images())
  last = variables["params"]["up_5"]
  silent = {"up_5": jax.tree.map(jnp.zeros_like, last)}
  variables = variables | {"params": variables["params"] | silent}

  made = jax.jit(u_net.apply)(variables, neutral, landmark_images())

  np.testing.assert_allclose(made, neutral, atol=1e-5)


def test_running_statistics_change_in_training_alone():
  network = vae.ImageVAE(8, 2)
  images = jax.random.uniform(jax.random.key(0), (4, 64, 64, 1))
  variables = first_weights(network, images)

  @functools.partial(jax.jit, static_argnums=0)
  def after(train):
    _, changed = network.apply(
      variables, images, train, mutable=["batch_stats"]
    )
    return jax.tree.leaves(changed["batch_stats"])

  before = jax.tree.leaves(variables["batch_stats"])
  assert len(before) == 2 * (3 + 4)  # mean and variance of each BatchNorm
  for old, used, trained in zip(before, after(False), after(True), strict=True):
    np.testing.assert_array_equal(old, used)
    assert not np.array_equal(old, trained)


def test_a_batch_norm_takes_a_tenth_of_the_new_statistics():
  network = layers.BatchNorm()
  x = jnp.array([1.0, 3.0])[:, None, None, None]  # mean 2, variance 1
  variables = network.init(jax.random.key(0), x, False)

  made, changed = network.apply(variables, x, True, mutable=["batch_stats"])

  np.testing.assert_allclose(made.ravel(), [-1, 1], atol=1e-4)
  found = changed["batch_stats"]["norm"]
  np.testing.assert_allclose(found["mean"], [0.2], rtol=1e-5)
  np.testing.assert_allclose(found["var"], [1.0], rtol=1e-5)


def test_a_closed_mask_leaves_the_still_background():
  network = video_gan.VideoGenerator(2)
  first = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3), minval=-1)
  variables = first_weights(network, first)
  params = variables["params"]
  head = params["foreground_3"]
  bias = head["bias"].at[3].set(-30.0)  # sigmoid(-30) is nothing
  kernel = head["kernel"].at[..., 3, :].set(0.0)
  closed = {"foreground_3": {"kernel": kernel, "bias": bias}}
  apply = jax.jit(network.apply)

  moving = apply(variables, first)
  still = apply({**variables, "params": {**params, **closed}}, first)

  assert jnp.abs(moving).max() <= 1
  assert jnp.abs(moving - moving[:, :1]).max() > 0.01
  np.testing.assert_allclose(
    still, jnp.broadcast_to(still[:, :1], still.shape), atol=1e-6
  )

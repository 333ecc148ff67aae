"""The translator and its discriminator."""

import functools

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


def inputs_of(side=64, batch=1, landmark_side=None):
  """Zeros of the shapes that a translator reads."""
  images = landmark_images(landmark_side or side, batch)
  return faces(side, batch), images, images, jnp.zeros((batch, side, side, 2))


@pytest.mark.parametrize(
  ("output", "read", "written"),
  [("image", 4, 3), ("residual", 4, 3), ("motion", 5, 6)],
)
def test_the_translator_has_the_papers_layers(output, read, written):
  down = (  # section 4.1: BatchNorm on all but the first and the last
    conv(read, 64)
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

  found = num_parameters(network, *inputs_of())

  assert found == down + up + conv(128, written, bias=True)
  if output != "motion":
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


@pytest.mark.parametrize(
  ("side", "landmark_side"), [(64, 64), (128, 128), (128, 64), (32, 16)]
)
@pytest.mark.parametrize("output", translator.OUTPUTS)
def test_faces_keep_their_size(side, landmark_side, output):
  network = translator.Translator(4, side, output=output)
  inputs = inputs_of(side, 2, landmark_side)

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
  inputs = neutral, *inputs_of()[1:]
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


# ------------------------------------------------------- where a face may move


@functools.cache
def moving_translator():
  """A network whose motion is large, as a compiled function of its inputs."""
  network = translator.Translator(4, 32)
  inputs = inputs_of(32, landmark_side=16)
  variables = jax.jit(network.init)(jax.random.key(0), *inputs)
  random = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda x: random.normal(0, 0.5, x.shape).astype(np.float32), variables
  )
  # Variances are positive.
  variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
  return jax.jit(functools.partial(network.apply, variables))


@functools.cache
def photos():
  """Two random faces as uint8, and the same in [-1, 1]."""
  random = np.random.default_rng(1)
  pixels = random.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
  return pixels, jnp.asarray(pixels, jnp.float32) / 127.5 - 1


def mouths(*heights):
  """Landmark images of 16 pixels, each with a line at its height."""
  images = np.zeros((len(heights), 16, 16, 1), np.float32)
  images[range(len(heights)), heights, 4:12] = 1
  return jnp.asarray(images)


def to_uint8(faces):
  return np.asarray(jnp.round(127.5 * (faces + 1)), np.uint8)


def test_at_rest_a_face_stays_the_photo():
  pixels, neutral = photos()
  still, mask = mouths(10, 12), jnp.ones((2, 32, 32, 2))

  made = moving_translator()(neutral, still, still, mask)

  assert not np.any(made.flow) and not np.any(made.mask)
  np.testing.assert_array_equal(to_uint8(made.faces), pixels)
  # The test would fail without the gate: with it open the face changes.
  moved = moving_translator()(neutral, mouths(9, 13), still, mask)
  assert np.abs(moved.flow).max() > 1 and np.max(moved.mask) > 0.1
  assert (to_uint8(moved.faces) != pixels).mean() > 0.1


def test_new_pixels_appear_only_where_their_own_mask_allows():
  _, neutral = photos()
  masks = jnp.ones((2, 32, 32, 2)).at[:, :16, :, 1].set(0)

  made = moving_translator()(neutral, mouths(9, 13), mouths(10, 12), masks)

  assert not np.any(made.mask[:, :16]) and np.any(made.mask[:, 16:])
  assert np.any(made.flow[:, :16])


def test_where_the_masks_are_zero_nothing_changes():
  pixels, neutral = photos()
  mask = jnp.zeros((2, 32, 32, 2)).at[1, 8:24, 8:24].set(1)

  made = moving_translator()(neutral, mouths(9, 13), mouths(10, 12), mask)

  changed = to_uint8(made.faces) != pixels
  outside = np.asarray(mask[..., 0]) == 0
  assert not changed[outside].any()
  assert changed[~outside].mean() > 0.1
  assert not np.any(np.asarray(made.flow)[outside])
  assert not np.any(np.asarray(made.mask)[outside])


def test_a_faces_motion_depends_on_no_other_face_of_the_batch():
  _, neutral = photos()
  mask = jnp.ones((2, 32, 32, 2))

  both = moving_translator()(neutral, mouths(9, 12), mouths(10, 12), mask)

  assert np.any(both.flow[0]) and not np.any(both.flow[1])


@pytest.mark.parametrize("size", [64, 128])
def test_the_gate_is_open_beside_a_moved_line_and_shut_far_from_it(size):
  change = np.zeros((1, 64, 64, 1), np.float32)
  change[0, 44, 20:44] = -1  # a mouth that moves up by two pixels
  change[0, 42, 20:44] = 1

  gate = np.asarray(translator.motion_gate(jnp.asarray(change), size))[0]

  assert gate.shape == (size, size)
  assert gate.min() >= 0 and gate.max() <= 1
  scale = size // 64
  # The reach is 8 of 64 pixels. A long line would leave 1 / (8 sqrt(2 pi)) =
  # 0.05 beside it; two of them, more than half of it inside: tanh(0.05 / 0.03).
  assert gate[40 * scale : 48 * scale, 24 * scale : 40 * scale].min() > 0.93
  assert gate[: 12 * scale].max() < 0.05  # the forehead, four reaches away
  # The line's middle is the image's, so the enlarged gate must be symmetric.
  np.testing.assert_allclose(gate, gate[:, ::-1], atol=1e-5)


def test_the_gate_of_a_larger_face_is_the_enlarged_gate():
  change = np.zeros((1, 32, 32, 1), np.float32)
  change[0, 20, 10:20] = 0.4

  small, large = (
    np.asarray(translator.motion_gate(jnp.asarray(change), size))[0]
    for size in (32, 64)
  )

  averaged = large.reshape(32, 2, 32, 2).mean(axis=(1, 3))
  np.testing.assert_allclose(averaged, small, atol=0.01)

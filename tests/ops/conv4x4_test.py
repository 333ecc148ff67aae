"""The 4x4 convolutions against their definition, and which one runs where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.ops import conv4x4

IMPLEMENTATIONS = ("xla", "cpu")
FUNCTIONS = (conv4x4.conv, conv4x4.conv_transpose)


def random_arrays(*shapes, seed=0):
  random = np.random.default_rng(seed)
  return [jnp.asarray(random.standard_normal(s), jnp.float32) for s in shapes]


def sum_of_windows(images, kernel):
  """Each output pixel as the sum over the 4x4 pixels of its window."""
  batch, height, width, _ = images.shape
  padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  output = np.zeros((batch, height // 2, width // 2, kernel.shape[3]))
  for row in range(height // 2):
    for column in range(width // 2):
      for i in range(4):
        for j in range(4):
          pixel = padded[:, 2 * row + i, 2 * column + j]
          output[:, row, column] += pixel @ kernel[i, j]
  return output


def sum_of_stamps(images, kernel):
  """Each input pixel adds its 4x4 stamp to the output."""
  batch, height, width, _ = images.shape
  output = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[2]))
  for row in range(height):
    for column in range(width):
      for i in range(4):
        for j in range(4):
          stamp = images[:, row, column] @ kernel[i, j].T
          output[:, 2 * row + i, 2 * column + j] += stamp
  return output[:, 1:-1, 1:-1]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("side", [1, 3, 8])
def test_outputs_are_the_sums_that_define_them(implementation, side):
  small, large, kernel = random_arrays(
    (2, side, side, 3), (2, 2 * side, 2 * side, 2), (4, 4, 2, 3)
  )

  down = conv4x4.conv(large, kernel, implementation)
  up = conv4x4.conv_transpose(small, kernel, implementation)

  small, large, kernel = map(np.asarray, (small, large, kernel))
  tolerance = {"rtol": 1e-4, "atol": 1e-5}
  np.testing.assert_allclose(down, sum_of_windows(large, kernel), **tolerance)
  np.testing.assert_allclose(up, sum_of_stamps(small, kernel), **tolerance)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_convolution_of_ones_counts_the_pixels_of_its_window(implementation):
  image, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1))
  video, kernel_3d = jnp.ones((1, 2, 2, 2, 1)), jnp.ones((4, 4, 4, 1, 1))

  counts = conv4x4.conv(image, kernel, implementation)[0, :, :, 0]
  count_3d = conv4x4.conv(video, kernel_3d, implementation)

  # Windows start one pixel outside of the image: 3x3 of 4x4 pixels lie inside.
  np.testing.assert_array_equal(counts, [[9, 9], [9, 9]])
  np.testing.assert_array_equal(count_3d, jnp.full((1, 1, 1, 1, 1), 8.0))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("extent", [(4, 4), (2, 4, 4)])
def test_the_transpose_has_the_same_inner_products(implementation, extent):
  small, large, kernel = random_arrays(
    (1, *extent, 3),
    (1, *(2 * side for side in extent), 2),
    (*(4 for _ in extent), 2, 3),
  )

  down = conv4x4.conv(large, kernel, implementation)
  up = conv4x4.conv_transpose(small, kernel, implementation)

  np.testing.assert_allclose(
    jnp.vdot(down, small), jnp.vdot(large, up), rtol=1e-4
  )


# ------------------------------------------------------------------- the choice


def lowered_for(platform):
  """A transposed convolution compiled for a platform, as text."""
  images, kernel = random_arrays((1, 4, 4, 3), (4, 4, 2, 3))
  # A new function, so that nothing traced under another setting is reused.
  traced = jax.jit(lambda *args: conv4x4.conv_transpose(*args)).trace(
    images, kernel
  )
  return traced.lower(lowering_platforms=(platform,)).as_text()


def is_xlas(text):
  """Only XLA's transposed convolution dilates its input."""
  return "lhs_dilate = [2, 2]" in text


def test_each_platform_gets_its_own_implementation_wherever_it_is_traced():
  assert jax.default_backend() == "cpu"
  assert not is_xlas(lowered_for("cpu"))
  assert is_xlas(lowered_for("cuda"))
  assert is_xlas(lowered_for("tpu"))


def test_the_environment_variable_forces_one_implementation(monkeypatch):
  monkeypatch.setenv(conv4x4.ENVIRONMENT_VARIABLE, "xla")
  assert is_xlas(lowered_for("cpu"))

  monkeypatch.setenv(conv4x4.ENVIRONMENT_VARIABLE, "cpu")
  assert not is_xlas(lowered_for("tpu"))


def test_an_unknown_implementation_is_refused(monkeypatch):
  monkeypatch.setenv(conv4x4.ENVIRONMENT_VARIABLE, "fast")

  with pytest.raises(ValueError, match=r"CONVOLUTIONS is 'fast'; set it to"):
    lowered_for("cpu")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_choice_has_each_implementations_values_and_gradients(
  function, implementation
):
  images, kernel = random_arrays((1, 4, 4, 3), (4, 4, 3, 3))

  def value_and_gradients(implementation):
    value, vjp = jax.vjp(
      functools.partial(function, implementation=implementation),
      images,
      kernel,
    )
    return value, *vjp(jnp.cos(value))

  chosen = jax.jit(lambda: value_and_gradients(None))()
  wanted = jax.jit(lambda: value_and_gradients(implementation))()

  for one, other in zip(chosen, wanted, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)

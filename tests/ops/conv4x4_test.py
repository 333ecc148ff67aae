"""The two forms of the 4x4 convolutions against each other and against sums."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.ops import conv4x4

FUNCTIONS = {"shrink": conv4x4.shrink, "grow": conv4x4.grow}
VIDEO_FUNCTIONS = {
  "shrink": conv4x4.shrink_video,
  "grow": conv4x4.grow_video,
}


def drawn(name, side, channels, out, batch, seed, dtype):
  """An input, a kernel and a gradient; `side` is the small image's."""
  random = np.random.default_rng(seed)
  small, large = (batch, side, side, out), (batch, 2 * side, 2 * side, channels)
  given, made = (large, small) if name == "shrink" else (small, large)
  shapes = given, (4, 4, channels, out), made
  return [jnp.asarray(random.standard_normal(s), dtype) for s in shapes]


def values_and_gradients(name, form, images, kernel, gradient):
  def function(images, kernel):
    return FUNCTIONS[name](images, kernel, form)

  value, transpose = jax.vjp(function, images, kernel)
  return value, *transpose(gradient)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
@hypothesis.given(
  channels=st.integers(1, 5),
  out=st.integers(1, 5),
  batch=st.integers(1, 3),
  seed=st.integers(0, 2**32 - 1),
)
@hypothesis.settings(max_examples=2, deadline=None)
def test_both_forms_have_the_same_values_and_gradients(
  name, side, channels, out, batch, seed
):
  with jax.enable_x64(True):
    given = drawn(name, side, channels, out, batch, seed, jnp.float64)
    plain = values_and_gradients(name, "plain", *given)
    cpu = values_and_gradients(name, "cpu", *given)
    assert cpu[0].dtype == jnp.float64

  for one, other in zip(plain, cpu, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, 4, 16])
def test_both_forms_agree_in_float32_under_jit(name, side):
  given = drawn(name, side, 3, 5, 2, 0, jnp.float32)
  both = jax.jit(values_and_gradients, static_argnums=(0, 1))

  for one, other in zip(
    both(name, "plain", *given), both(name, "cpu", *given), strict=True
  ):
    assert one.dtype == other.dtype == jnp.float32
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def summed_shrink(images, kernel):
  """Each output pixel as the sum over the 4x4 pixels below it."""
  batch, height, width, _ = images.shape
  padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  made = np.zeros((batch, height // 2, width // 2, kernel.shape[3]))
  for row in range(height // 2):
    for column in range(width // 2):
      for i in range(4):
        for j in range(4):
          pixel = padded[:, 2 * row + i, 2 * column + j]
          made[:, row, column] += pixel @ kernel[i, j]
  return made


def summed_grow(images, kernel):
  """Each input pixel adds its 4x4 stamp to the output."""
  batch, height, width, _ = images.shape
  made = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[2]))
  for row in range(height):
    for column in range(width):
      for i in range(4):
        for j in range(4):
          stamp = images[:, row, column] @ kernel[i, j].T
          made[:, 2 * row + i, 2 * column + j] += stamp
  return made[:, 1:-1, 1:-1]


@pytest.mark.parametrize("form", ["plain", "cpu"])
@pytest.mark.parametrize("side", [1, 3, 8])
def test_the_forms_are_the_sums_that_define_them(form, side):
  for name, summed in (("shrink", summed_shrink), ("grow", summed_grow)):
    images, kernel, _ = drawn(name, side, 2, 3, 2, 1, jnp.float32)

    found = FUNCTIONS[name](images, kernel, form)

    wanted = summed(np.asarray(images), np.asarray(kernel))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_shrinking_by_ones_counts_the_pixels_below():
  images, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1))

  found = conv4x4.shrink(images, kernel, "cpu")[0, :, :, 0]

  # Each window of 4x4 starts one pixel outside of the image: 3x3 lie inside.
  np.testing.assert_array_equal(found, [[9, 9], [9, 9]])


def test_growing_is_the_transpose_of_shrinking():
  small, kernel, large = drawn("grow", 4, 2, 3, 1, 2, jnp.float32)

  one = jnp.vdot(conv4x4.shrink(large, kernel, "cpu"), small)
  other = jnp.vdot(large, conv4x4.grow(small, kernel, "cpu"))

  np.testing.assert_allclose(one, other, rtol=1e-4)


def lowered_for(platform, name="grow"):
  """The program of a layer and its gradients for a platform, as text."""
  given = drawn(name, 4, 2, 3, 1, 0, jnp.float32)
  # A new function, so that nothing traced under another setting is met again.
  function = functools.partial(values_and_gradients, name, None)
  traced = jax.jit(lambda *given: function(*given)).trace(*given)
  return traced.lower(lowering_platforms=(platform,)).as_text()


def has_plain_form(text):
  """Only the plain form of `grow` looks at an image with holes."""
  return "lhs_dilate = [2, 2]" in text


def test_each_platform_takes_its_own_form_wherever_it_is_traced():
  assert jax.default_backend() == "cpu"
  assert not has_plain_form(lowered_for("cpu"))
  assert has_plain_form(lowered_for("cuda"))
  assert has_plain_form(lowered_for("tpu"))


def test_a_setting_forces_one_form_on_every_platform(monkeypatch):
  monkeypatch.setenv(conv4x4.SETTING, "plain")
  assert has_plain_form(lowered_for("cpu"))

  monkeypatch.setenv(conv4x4.SETTING, "cpu")
  assert not has_plain_form(lowered_for("tpu"))


def test_a_setting_that_is_no_form_is_refused(monkeypatch):
  monkeypatch.setenv(conv4x4.SETTING, "fast")

  with pytest.raises(ValueError, match=r"CONVOLUTIONS is 'fast': set it to"):
    lowered_for("cpu")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", ["plain", "cpu"])
def test_the_choice_has_the_values_and_gradients_of_both_forms(name, form):
  given = drawn(name, 4, 2, 3, 1, 0, jnp.float32)

  chosen = jax.jit(functools.partial(values_and_gradients, name, None))(*given)
  wanted = jax.jit(functools.partial(values_and_gradients, name, form))(*given)

  for one, other in zip(chosen, wanted, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", VIDEO_FUNCTIONS)
@pytest.mark.parametrize(("frames", "side"), [(1, 2), (6, 4), (3, 8), (8, 2)])
def test_both_forms_agree_in_time_too(name, frames, side):
  random = np.random.default_rng(0)
  small = (2, frames, side, side, 3)
  large = (2, 2 * frames, 2 * side, 2 * side, 2)
  given, made = (large, small) if name == "shrink" else (small, large)
  given, kernel, gradient = (
    jnp.asarray(random.standard_normal(shape), jnp.float32)
    for shape in (given, (4, 4, 4, 2, 3), made)
  )

  @functools.partial(jax.jit, static_argnums=0)
  def both(form):
    function = functools.partial(VIDEO_FUNCTIONS[name], form=form)
    value, transpose = jax.vjp(function, given, kernel)
    return value, *transpose(gradient)

  wanted = both("plain")
  for form in ("cpu", None):  # None: the platform's
    for one, other in zip(wanted, both(form), strict=True):
      np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_shrinking_a_clip_of_ones_counts_the_pixels_below():
  clip, kernel = jnp.ones((1, 2, 2, 2, 1)), jnp.ones((4, 4, 4, 1, 1))

  for form in ("plain", "cpu"):
    found = conv4x4.shrink_video(clip, kernel, form)
    np.testing.assert_array_equal(found, jnp.full((1, 1, 1, 1, 1), 8.0))

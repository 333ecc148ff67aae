"""The losses, worked out by hand."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax import losses

LOG2 = np.log(2)


def test_the_cross_entropy_is_summed_over_the_pixels():
  logits = jnp.zeros((2, 2, 3, 1))  # every pixel is decoded as 1/2
  targets = jnp.array([0.0, 1.0])[:, None, None, None]
  targets = jnp.broadcast_to(targets, logits.shape)

  found = losses.bce_per_image(logits, targets)

  np.testing.assert_allclose(found, [6 * LOG2] * 2, rtol=1e-6)


def test_the_cross_entropy_takes_grey_targets_and_any_leading_axes():
  logits = jnp.full((2, 3, 1, 1, 1), np.log(3.0))  # x = 3/4
  targets = jnp.full((2, 3, 1, 1, 1), 0.25)

  found = losses.bce_per_image(logits, targets)

  wanted = -(0.25 * np.log(0.75) + 0.75 * np.log(0.25))
  np.testing.assert_allclose(found, np.full((2, 3), wanted), rtol=1e-6)


def test_the_difference_of_faces_is_summed_over_pixels_and_channels():
  faces = jnp.zeros((2, 1, 4, 5, 3))
  targets = faces + jnp.array([0.5, -0.25])[:, None, None, None, None]

  found = losses.l1_per_image(faces, targets)

  np.testing.assert_allclose(found, [[4 * 5 * 3 / 2], [4 * 5 * 3 / 4]])


def test_the_divergence_of_a_standard_normal_is_zero():
  found = losses.kl_to_standard_normal(jnp.zeros((1, 4)), jnp.zeros((1, 4)))

  np.testing.assert_allclose(found, [0], atol=1e-7)


def test_the_divergence_grows_with_mean_and_variance():
  mean = jnp.array([[2.0, 0.0]])
  log_variance = jnp.array([[0.0, np.log(4.0)]])

  found = losses.kl_to_standard_normal(mean, log_variance)

  # 1/2 (2^2) of the first; 1/2 (4 - log 4 - 1) of the second
  np.testing.assert_allclose(found, [2 + 0.5 * (3 - np.log(4))], rtol=1e-6)


def test_the_distance_of_codes_is_in_the_posteriors_deviations():
  embeddings = jnp.array([[[3.0, 0.0]], [[1.0, 2.0]]])  # two modes of one frame
  mean, log_variance = jnp.array([[1.0, 0.0]]), jnp.log(jnp.array([[4.0, 1.0]]))

  found, gradients = jax.value_and_grad(
    lambda *given: jnp.sum(losses.posterior_nll(*given)), (0, 1, 2)
  )(embeddings, mean, log_variance)

  # 1/2 (2^2 / 4) of the first mode, 1/2 (2^2 / 1) of the second
  np.testing.assert_allclose(
    losses.posterior_nll(embeddings, mean, log_variance),
    [[0.5], [2.0]],
    rtol=1e-6,
  )
  np.testing.assert_allclose(found, 2.5, rtol=1e-6)
  np.testing.assert_allclose(gradients[0], [[[0.5, 0]], [[0, 2]]], rtol=1e-6)
  assert not gradients[1].any() and not gradients[2].any()


def test_the_pull_is_zero_while_the_modes_average_to_the_codes():
  embeddings = jnp.ones((2, 3, 4))
  modes = jnp.stack([embeddings - 5, embeddings, embeddings + 5])

  assert losses.pull(modes, embeddings) == 0


def test_the_pull_sums_squares_over_the_code_and_moves_the_modes_alone():
  embeddings = jnp.zeros((1, 1, 2))
  modes = jnp.array([[[[2.0, 0.0]]], [[[4.0, 2.0]]]])  # their average: 3, 1

  value, (to_modes, to_codes) = jax.value_and_grad(losses.pull, (0, 1))(
    modes, embeddings
  )

  assert value == 3**2 + 1**2
  # d/dm of (mean_m)^2 with two modes: 2 * mean / 2
  np.testing.assert_allclose(to_modes[:, 0, 0], [[3, 1], [3, 1]])
  np.testing.assert_array_equal(to_codes, 0)


def test_the_push_is_the_cross_entropy_of_naming_the_mode():
  blind = jnp.zeros((3, 5, 3))
  np.testing.assert_allclose(losses.push(blind), np.log(3), rtol=1e-6)

  # Mode 0 is named with logit 2 against 0, mode 1 wrongly with 1 against 0.
  logits = jnp.array([[[2.0, 0.0]], [[1.0, 0.0]]])
  wanted = (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(1))) / 2
  np.testing.assert_allclose(losses.push(logits), wanted, rtol=1e-6)


@hypothesis.given(
  seed=st.integers(0, 2**32 - 1),
  num_modes=st.sampled_from([2, 3]),
  temperature=st.floats(0.5, 100),
)
@hypothesis.settings(max_examples=15, deadline=None)
def test_assignments_sum_to_one_and_use_all_modes_equally(
  seed, num_modes, temperature
):
  random = np.random.default_rng(seed)
  costs = jnp.asarray(random.normal(0, 1, (num_modes, 12)), jnp.float32)

  assignment = losses.sinkhorn_assignment(
    costs, temperature=temperature, iterations=100
  )

  np.testing.assert_allclose(jnp.sum(assignment, axis=0), 1, rtol=1e-4)
  used = jnp.sum(assignment, axis=1)
  np.testing.assert_allclose(used, 12 / num_modes, rtol=0.02)
  assert assignment.min() >= 0


def test_at_a_low_temperature_examples_go_to_their_best_mode():
  costs = jnp.array(
    [[1.0, 9, 9, 2, 5, 7], [9, 1, 2, 9, 6, 5], [8, 7, 6, 7, 1, 1]]
  )

  assignment = losses.sinkhorn_assignment(costs, temperature=0.05)

  # Each mode is the nearest of two examples, so equal use costs nothing.
  nearest = np.eye(3)[:, [0, 1, 1, 0, 2, 2]]
  np.testing.assert_allclose(assignment, nearest, atol=1e-3)


def test_at_a_low_temperature_a_mode_that_is_never_best_is_still_used():
  # Mode 1 is worse on both; it gets the example on which it loses least.
  costs = jnp.array([[0.0, 0.0], [5.0, 1.0]])

  assignment = losses.sinkhorn_assignment(costs, temperature=0.1, iterations=50)

  np.testing.assert_allclose(assignment, [[1, 0], [0, 1]], atol=0.03)


def test_at_a_high_temperature_assignments_are_equal_and_get_no_gradient():
  costs = jnp.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.0]])

  assignment = losses.sinkhorn_assignment(costs, temperature=1e6)
  gradient = jax.grad(
    lambda c: jnp.sum(losses.sinkhorn_assignment(c, temperature=1.0) * c)
  )(costs)

  np.testing.assert_allclose(assignment, 0.5, atol=1e-4)
  # d/dc (share * c) with a share that stands still is the share.
  still = losses.sinkhorn_assignment(costs, temperature=1.0)
  np.testing.assert_allclose(gradient, still, rtol=1e-6)


def test_the_reconstruction_is_the_mean_distance():
  faces = jnp.zeros((1, 2, 1, 3))
  targets = faces.at[0, 0, 0].set(jnp.array([1.0, -2.0, 3.0]))

  found = losses.reconstruction_l1(faces, targets)

  np.testing.assert_allclose(found, (1 + 2 + 3) / 6, rtol=1e-6)


@pytest.mark.parametrize("logit", [-2.0, 0.0, 3.0])
def test_the_players_losses_are_logs_of_what_the_discriminator_believes(logit):
  logits = jnp.full((2, 3, 3, 1), logit)
  belief = 1 / (1 + np.exp(-logit))  # D([z0, w])

  generator = losses.generator_adversarial(logits)
  discriminator = losses.discriminator_adversarial(
    jnp.zeros_like(logits), logits
  )

  np.testing.assert_allclose(generator, -np.log(belief), rtol=1e-5)
  np.testing.assert_allclose(
    discriminator, LOG2 - np.log(1 - belief), rtol=1e-5
  )

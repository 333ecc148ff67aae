"""The regressors of landmarks and of action units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameter_counts import shapes_of

from cmm_jax.networks import regressors


@pytest.mark.parametrize("side", [64, 128])
def test_each_image_gives_its_numbers(side):
  faces = jnp.zeros((2, side, side, 3))
  landmark_images = jnp.zeros((2, side, side, 1))
  landmarks = regressors.LandmarkRegressor(4, side)
  action_units = regressors.ActionUnitRegressor(4, side)

  def outputs(network, *inputs):
    return jax.eval_shape(network.apply, shapes_of(network, *inputs), *inputs)

  assert outputs(landmarks, landmark_images).shape == (2, 68, 2)
  assert outputs(action_units, faces, faces).shape == (2, 2)


def test_an_empty_landmark_image_starts_with_all_points_at_its_center():
  network = regressors.LandmarkRegressor(2)

  points, _ = jax.jit(network.init_with_output)(
    jax.random.key(0), jnp.zeros((1, 64, 64, 1))
  )

  np.testing.assert_allclose(points, jnp.full((1, 68, 2), 32.0))


def test_action_units_are_read_against_the_neutral_face():
  network = regressors.ActionUnitRegressor(2)
  face, neutral = jax.random.uniform(jax.random.key(0), (2, 1, 64, 64, 3))
  variables = jax.jit(network.init)(jax.random.key(1), neutral, face)
  apply = jax.jit(network.apply)

  found = apply(variables, neutral, face)
  other = apply(variables, face, face)

  assert jnp.abs(found - other).max() > 1e-4

"""Phase 5 (ours): the regressors that measure generated images."""

import dataclasses

import jax.numpy as jnp

from cmm_jax import landmarks
from cmm_jax.models.base import apply, merge_batch_and_time
from cmm_jax.models.recurrent_generator import RecurrentGenerator
from cmm_jax.models.translation import face_pairs, mixed_landmark_images
from cmm_jax.networks import regressors


@dataclasses.dataclass(frozen=True)
class RegressorObjective:
  """What trains the regressors of landmarks and action units."""

  landmark_regressor: regressors.LandmarkRegressor
  action_unit_regressor: regressors.ActionUnitRegressor
  generator: RecurrentGenerator

  def loss(self, loss_config, networks, batch):
    """Mean landmark error, in pixels, plus mean absolute action-unit error."""
    images, _ = mixed_landmark_images(
      self.generator, loss_config, networks, batch
    )
    points, updated_landmark_regressor = apply(
      self.landmark_regressor,
      networks["landmark_regressor"],
      images,
      train=True,
    )
    points = landmarks.rescale(
      points,
      self.landmark_regressor.image_size,
      self.action_unit_regressor.image_size,
    )
    action_units, updated_action_unit_regressor = apply(
      self.action_unit_regressor,
      networks["action_unit_regressor"],
      *face_pairs(batch),
      train=True,
    )
    point_errors = points - merge_batch_and_time(batch["points"])
    action_unit_errors = action_units - merge_batch_and_time(
      batch["action_units"]
    )
    metrics = {
      "landmarks_px": jnp.mean(jnp.linalg.norm(point_errors, axis=-1)),
      "action_units": jnp.mean(jnp.abs(action_unit_errors)),
    }
    statistics = {
      "landmark_regressor": updated_landmark_regressor["batch_stats"],
      "action_unit_regressor": updated_action_unit_regressor["batch_stats"],
    }
    return sum(metrics.values()), (metrics, statistics)

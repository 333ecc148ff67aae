"""A last phase, ours: the readers that measure what the others make."""

import dataclasses

import jax.numpy as jnp

from cmm_jax.models.base import apply, merge_batch_and_time
from cmm_jax.models.landmark_generator import RecurrentGenerator
from cmm_jax.models.translation import face_pairs, mixed_landmark_images
from cmm_jax.networks import regressors


@dataclasses.dataclass(frozen=True)
class Regression:
  """The readers, beside the VAE whose landmark_images they are given too."""

  landmark_regressor: regressors.LandmarkRegressor
  action_unit_regressor: regressors.ActionUnitRegressor
  sequences: RecurrentGenerator

  def loss(self, weight, networks, batch):
    """The mean distance of points, and of action units."""
    points, points_new = apply(
      self.landmark_regressor,
      networks["landmark_regressor"],
      mixed_landmark_images(self.sequences, weight, networks, batch),
      train=True,
    )
    units, units_new = apply(
      self.action_unit_regressor,
      networks["action_unit_regressor"],
      *face_pairs(batch),
      train=True,
    )
    point_gaps = points - merge_batch_and_time(batch["points"])
    unit_gaps = units - merge_batch_and_time(batch["action_units"])
    terms = {
      "points_px": jnp.mean(jnp.linalg.norm(point_gaps, axis=-1)),
      "action_units": jnp.mean(jnp.abs(unit_gaps)),
    }
    statistics = {
      "landmark_regressor": points_new["batch_stats"],
      "action_unit_regressor": units_new["batch_stats"],
    }
    return terms["points_px"] + terms["action_units"], (terms, statistics)

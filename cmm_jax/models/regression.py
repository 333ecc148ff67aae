"""A last phase, ours: the readers that measure what the others make."""

import dataclasses

import jax.numpy as jnp

from cmm_jax.models.base import apply, flat
from cmm_jax.models.landmark_generator import RecurrentGenerator
from cmm_jax.models.translation import face_pairs, mixed_drawings
from cmm_jax.networks import regressors


@dataclasses.dataclass(frozen=True)
class Instruments:
  """The readers, beside the VAE whose drawings they are given too."""

  point_reader: regressors.PointReader
  action_unit_reader: regressors.ActionUnitReader
  sequences: RecurrentGenerator

  def loss(self, weight, networks, batch):
    """The mean distance of points, and of action units."""
    points, points_new = apply(
      self.point_reader,
      networks["point_reader"],
      mixed_drawings(self.sequences, weight, networks, batch),
      train=True,
    )
    units, units_new = apply(
      self.action_unit_reader,
      networks["action_unit_reader"],
      *face_pairs(batch),
      train=True,
    )
    point_gaps = points - flat(batch["points"])
    unit_gaps = units - flat(batch["action_units"])
    terms = {
      "points_px": jnp.mean(jnp.linalg.norm(point_gaps, axis=-1)),
      "action_units": jnp.mean(jnp.abs(unit_gaps)),
    }
    statistics = {
      "point_reader": points_new["batch_stats"],
      "action_unit_reader": units_new["batch_stats"],
    }
    return terms["points_px"] + terms["action_units"], (terms, statistics)

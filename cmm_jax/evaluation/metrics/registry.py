"""Every metric by name, in the order of the tables' columns.

A further metric is an entry in the `METRICS` of its file; a further file is a
line below. The tables, metrics.json and the report pick it up.
"""

from cmm_jax.evaluation.metrics import (
  action_units,
  diversity,
  identity,
  inception,
  label_accuracy,
  landmarks,
  lpips,
  manifold,
  multimodal,
  pixel_label_accuracy,
  sharpness,
  ssim,
)
from cmm_jax.evaluation.metrics.metric import Metric

METRICS: dict[str, Metric] = {
  metric.name: metric
  for file in (
    ssim,
    inception,
    manifold,
    lpips,
    identity,
    action_units,
    landmarks,
    label_accuracy,
    pixel_label_accuracy,
    diversity,
    multimodal,
    sharpness,
  )
  for metric in file.METRICS
}

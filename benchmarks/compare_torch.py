r"""Times the JAX implementation beside PyTorch, on a CPU or on a GPU.

  pip install -e .[benchmarks]
  python -m benchmarks.compare_torch --json=speed.jsonl
  python -m benchmarks.compare_torch --case=vae-64 --case=generate-1 --rounds=5
  python -m benchmarks.compare_torch --device=gpu --dtype=bfloat16
  python -m benchmarks.compare_torch --scale --plots=curves

Every implementation runs a case in a process of its own, with the same weights,
in turns A B B A: JAX in one variant, PyTorch eagerly, with channels-last
memory, and compiled. A time is the median over the rounds. The ratio, above 1
if JAX is faster, is that of PyTorch's best variant to JAX within each round:
the median, the smallest and the largest. The peak is that of large matrix
products, by the faster of the two libraries, in the same rounds and the same
dtype.

JAX's training steps are those of `train_step.make_train_step` on a ready batch.
A training runs `train_step.make_train_steps`, which also samples the batch on
the device and, on a GPU or TPU, takes many steps per dispatch.

float32 is TF32 in the products of a GPU, in both libraries. With bfloat16 the
convolutional networks compute in it; parameters, LSTMs and losses stay float32.

--scale needs no PyTorch: it measures how the time of JAX grows with one size.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import app, flags, logging

from benchmarks import cases, flops, interleave, scaling
from benchmarks.cases import Case
from benchmarks.interleave import JAX, TORCH, Worker, WorkerError

_CASES = flags.DEFINE_multi_enum(
  "case", None, list(cases.CASES), "Case to time; by default all of them."
)
_ROUNDS = flags.DEFINE_integer(
  "rounds", 7, "Rounds of each case.", lower_bound=1
)
_DEVICE = flags.DEFINE_enum(
  "device", "auto", ["auto", "cpu", "gpu"], "auto: a GPU if there is one."
)
_DTYPE = flags.DEFINE_enum(
  "dtype", "float32", ["float32", "bfloat16"], "Of the convolutional networks."
)
_JSON = flags.DEFINE_string(
  "json", None, "File to write the results to, one line per case."
)
_SCALE = flags.DEFINE_bool("scale", False, "Measure how JAX scales instead.")
_PLOTS = flags.DEFINE_string(
  "plots", "curves", "Folder to write the plots of --scale to."
)

VARIANTS = ("eager", "channels_last", "compiled")

# Dispatched together on a GPU, as in training: one step takes milliseconds.
_GPU_REPEATS = 20

_HEADER = (
  *("case", "GFLOP", "JAX, s", *(f"{name}, s" for name in VARIANTS)),
  *("ratio", "GFLOP/s", "of the peak", "JAX, MB", "PyTorch, MB"),
)


def main(argv: Sequence[str]) -> None:
  """Prints a table row for each case as soon as it is measured."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; cases are --case=…")
  logging.set_verbosity(logging.ERROR)  # JAX lists the backends it lacks
  jax.config.update("jax_platforms", "cpu")  # leaves the GPU to the workers
  if _SCALE.value:
    scaling.measure_all(_ROUNDS.value, _PLOTS.value, _JSON.value)
    return
  if importlib.util.find_spec("torch") is None:
    sys.exit(
      "error: PyTorch is not installed; pip install -e .[benchmarks], or "
      "measure JAX alone with --scale."
    )
  device = _DEVICE.value
  if device == "auto":
    device = "gpu" if shutil.which("nvidia-smi") else "cpu"
  try:
    compare_all(
      _CASES.value or list(cases.CASES),
      _ROUNDS.value,
      device,
      _DTYPE.value,
      _JSON.value,
    )
  except WorkerError as error:
    sys.exit(f"error: the peak of the {device} cannot be measured: {error}")


def compare_all(
  names: Sequence[str],
  rounds: int,
  device: str,
  dtype: str,
  json_file: str | None,
) -> None:
  """Prints a row and writes a line for each case; prints failures last.

  Raises:
    WorkerError: the peak cannot be measured.
  """
  threads = len(os.sched_getaffinity(0))
  place = "the GPU" if device == "gpu" else f"{threads} CPU threads"
  print(f"{place}, {dtype}, {rounds} rounds\n")
  print(_row(_HEADER), _row(["---"] * len(_HEADER)), sep="\n", flush=True)
  failures = []
  with contextlib.ExitStack() as stack:
    if json_file:
      file = stack.enter_context(pathlib.Path(json_file).open("w"))
    matmuls = {
      module: stack.enter_context(
        Worker(
          module,
          cases.matmul(device, dtype),
          environment(module, device),
          device=device,
        )
      )
      for module in (JAX, TORCH)
    }
    for name in names:
      case = dataclasses.replace(cases.CASES[name], dtype=dtype)
      try:
        line, failed = compare(case, matmuls, rounds, device)
      except WorkerError as error:
        failures.append(f"{name}: {error}")
        continue
      print(_row(cells(line)), flush=True)
      failures += [f"{name}, {what}: {why}" for what, why in failed.items()]
      if json_file:
        print(json.dumps(line), file=file, flush=True)
  if failures:
    print("", *failures, sep="\n")


def environment(module: str, device: str) -> dict[str, str]:
  """The environment variables of a worker."""
  if device == "gpu":
    return {
      "JAX_PLATFORMS": "cuda,cpu",
      "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # workers share the GPU
    }
  variables = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
  if module == TORCH:
    # Keeps large buffers, as `runtime.configure` does for JAX.
    variables |= {
      "MALLOC_MMAP_MAX_": "0",
      "MALLOC_TRIM_THRESHOLD_": str(2**62),
      "MALLOC_ARENA_MAX": "1",
    }
  return variables


def compare(
  case: Case, matmuls: Mapping[str, Worker], rounds: int, device: str
) -> tuple[dict[str, Any], dict[str, str]]:
  """Times a case.

  Args:
    case: to time.
    matmuls: workers that multiply matrices, which gives the peak.
    rounds: runs of each worker.
    device: "cpu" or "gpu".

  Returns:
    The result of `summarize`, and an error message for each variant of PyTorch
    that failed.

  Raises:
    WorkerError: JAX failed, or a worker failed after its first run.
  """
  repeats = _GPU_REPEATS if device == "gpu" else 1
  settings = {"repeats": repeats, "device": device}
  workers, failed = {}, {}
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    settings["weights_file"] = os.path.join(folder, "weights.npz")
    workers["jax"] = stack.enter_context(
      Worker(JAX, case, environment(JAX, device), **settings)
    )
    for variant in VARIANTS:
      try:
        workers[variant] = stack.enter_context(
          Worker(
            TORCH,
            case,
            environment(TORCH, device),
            variant=variant,
            **settings,
          )
        )
      except WorkerError as error:
        failed[variant] = str(error)
    runs = {name: worker.run for name, worker in (workers | matmuls).items()}
    seconds = interleave.measure(runs, rounds)
    peaks_mb = {name: worker.peak_mb for name, worker in workers.items()}
  matmul = min(statistics.median(seconds.pop(name)) for name in matmuls)
  peak = flops.count_case(cases.matmul(device)) / matmul
  operations = flops.count_case(case)
  line = summarize(case.name, seconds, operations, peak, peaks_mb)
  return line | {"device": device, "dtype": case.dtype}, failed


def summarize(
  name: str,
  seconds: Mapping[str, Sequence[float]],
  operations: float,
  peak: float,
  peaks_mb: Mapping[str, float],
) -> dict[str, Any]:
  """The results of a case as in the JSON file; None is unknown.

  Args:
    name: the case's.
    seconds: of each round, of "jax" and of the VARIANTS that did not fail.
    operations: of the case.
    peak: operations per second of the device.
    peaks_mb: peak memory of each worker.
  """
  times = {who: statistics.median(found) for who, found in seconds.items()}
  jax_s = times.pop("jax")
  best = min(times, key=times.get, default=None)
  ratios = []
  if best is not None:
    ratios = interleave.pairwise_ratios(seconds[best], seconds["jax"])
  return {
    "case": name,
    "jax_s": jax_s,
    "torch_best_s": times.get(best),
    "torch_best": best,
    "ratio": statistics.median(ratios) if ratios else None,
    "ratios": ratios,
    "share_of_peak": operations / jax_s / peak,
    "jax_peak_mb": peaks_mb["jax"],
    "torch_peak_mb": peaks_mb.get(best),
    "torch_s": times,
    "gflop": operations / 1e9,
    "gflops": operations / jax_s / 1e9,
    "peak_gflops": peak / 1e9,
    "rounds": len(seconds["jax"]),
  }


def cells(line: Mapping[str, Any]) -> list[str]:
  """A row of the table."""
  best, ratio = line["torch_best"], "—"
  if best is not None:
    low, high = min(line["ratios"]), max(line["ratios"])
    ratio = f"{line['ratio']:.2f} ({low:.2f}–{high:.2f}, {best})"
  times = [line["torch_s"].get(variant) for variant in VARIANTS]
  return [
    line["case"],
    f"{line['gflop']:.0f}",
    f"{line['jax_s']:.3g}",
    *("—" if time is None else f"{time:.3g}" for time in times),
    ratio,
    f"{line['gflops']:.0f} of {line['peak_gflops']:.0f}",
    f"{100 * line['share_of_peak']:.0f} %",
    f"{line['jax_peak_mb']:.0f}",
    "—" if best is None else f"{line['torch_peak_mb']:.0f}",
  ]


def _row(texts):
  return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
  app.run(main)

r"""Compiles the cases for TPUs, without a TPU, and reads the programs.

  pip install -e .[tpu]
  python -m benchmarks.compile_tpu --json=tpu.jsonl
  python -m benchmarks.compile_tpu --case=vae-256 --topology=v5e:16x16

libtpu compiles training steps and generation for a slice of v5e or v6e chips,
in bfloat16, which `config.model.dtype` selects there. Nothing runs, so there
are no times. Each chip has a quarter of the case's clips on any slice, as it
has on four chips. The table shows

- memory per chip by the compiler's plan, without that of its runtime;
- operations per chip, as counted by `flops.py` and by XLA, which counts a
  loop's body once (bytes as well) and adds what is no product;
- bytes that the operations read and write, by XLA's estimate, whether from the
  chip's main memory or from a nearer one;
- bytes copied, into another layout or a nearer memory;
- the collectives of a step and the bytes of their results;
- an estimate for larger slices (`tpu_programs.weak_scaling`).

A compilation takes minutes on one core; JAX_OPTIMIZATION_LEVEL=O0 in the
environment makes it faster, for a program that needs more memory. One process
at a time can use libtpu.
"""

import contextlib
import importlib.util
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import app, flags

from benchmarks import cases, tpu_programs
from benchmarks.tpu_programs import CHIPS, SLICES

_CASES = flags.DEFINE_multi_enum(
  "case",
  [
    *("vae-256", "conditional-16", "modes-16", "translator-64"),
    *("video_gan_of_width_32-16", "video_gan-4", "generate-16"),
  ],
  [name for name, case in cases.CASES.items() if case.clips % 4 == 0],
  "Case to compile; by default one or two of each kind.",
)
_TOPOLOGIES = flags.DEFINE_multi_string(
  "topology", ["v5e:2x2", "v6e:2x2"], "Slice of chips to compile for."
)
flags.register_validator(
  _TOPOLOGIES,
  lambda slices: all(name.split(":")[0] in CHIPS for name in slices),
  f"a slice is one of {', '.join(CHIPS)} with its sides, such as v5e:2x2",
)
_UTILIZATION = flags.DEFINE_float(
  "utilization",
  0.4,
  "Share of a chip's peak to assume in the estimate.",
  lower_bound=0.01,
  upper_bound=1.0,
)
_JSON = flags.DEFINE_string(
  "json", None, "File to write the results to, one line each."
)
_HLO = flags.DEFINE_string(
  "hlo", None, "Folder to write the compiled programs to."
)

_ASSUMPTIONS = """\
Assumptions: each chip keeps its clips. It computes for as long as the products
take at {utilization:.0%} of the published peak of bfloat16 (to which JAX's
default on a TPU rounds float32), or as long as the bytes take at the published
bandwidth of its memory if that is more. An all-reduce is a ring over one of a
chip's four links, in one direction: 2 (n - 1) / n of its bytes at a quarter of
the published bandwidth; the bytes of other collectives grow with the batch.
Each collective waits for 1 us per hop to the farthest chip of a torus and back.
Nothing overlaps. {chips}
"""


def main(argv: Sequence[str]) -> None:
  """Prints a table row for each program as soon as it is compiled."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; cases are --case=…")
  if importlib.util.find_spec("libtpu") is None:
    sys.exit("error: libtpu is not installed; pip install -e .[tpu].")
  tpu_programs.configure()
  print(f"Optimization level: {tpu_programs.optimization_level()}.\n")
  print(_row(_HEADER), _row(["---"] * len(_HEADER)), sep="\n", flush=True)
  lines, failures = [], []
  with contextlib.ExitStack() as stack:
    if _JSON.value:
      file = stack.enter_context(pathlib.Path(_JSON.value).open("w"))
    for name in _CASES.value:
      for topology in _TOPOLOGIES.value:
        try:
          line = tpu_programs.measure(cases.CASES[name], topology, _HLO.value)
        except jax.errors.JaxRuntimeError as error:
          failures.append(f"{name}, {topology}: {error}")
          continue
        line["weak_scaling"] = tpu_programs.weak_scaling(
          line, CHIPS[topology.split(":")[0]], _UTILIZATION.value
        )
        lines.append(line)
        print(_row(cells(line)), flush=True)
        if _JSON.value:
          print(json.dumps(line), file=file, flush=True)
  print("\n" + _assumptions(_UTILIZATION.value))
  header = "case", "chip", "computation, ms", *(f"n = {n}" for n in SLICES)
  print(_row(header), _row(["---"] * len(header)), sep="\n")
  for line in lines:
    print(_row(estimate_cells(line)))
  if failures:
    print("", *failures, sep="\n")


def _assumptions(utilization):
  chips = "; ".join(
    f"{kind}: {chip.flops / 1e12:.0f} TFLOP/s, memory "
    f"{chip.memory_bandwidth / 1e9:.0f} GB/s, links "
    f"{chip.links_bandwidth / 1e9:.0f} GB/s"
    for kind, chip in CHIPS.items()
  )
  return _ASSUMPTIONS.format(utilization=utilization, chips=f"{chips}.")


# --------------------------------------------------------------------- printed

_HEADER = (
  *("case", "slice", "chips", "clips per chip", "arguments, MiB", "outputs"),
  *("temporaries", "program", "all memory", "GFLOP per chip", "by XLA"),
  *("GB accessed", "GB copied", "collectives"),
)


def cells(line: Mapping[str, Any]) -> list[str]:
  """A row of the table of programs."""
  memory = line["memory_mib"]
  collectives = (
    f"{count['number']} {kind}, {count['bytes'] / 2**20:.3g} MiB"
    for kind, count in line["collectives"].items()
  )
  return [
    line["case"],
    line["topology"],
    str(line["chips"]),
    str(line["clips"]),
    *(f"{size:.1f}" for size in memory.values()),
    f"{sum(memory.values()):.1f}",
    f"{line['gflop']:.1f}",
    f"{line['xla_gflop']:.1f}",
    f"{line['bytes_accessed'] / 1e9:.2f}",
    f"{line['bytes_copied'] / 1e9:.2f}",
    "; ".join(collectives) or "none",
  ]


def estimate_cells(line: Mapping[str, Any]) -> list[str]:
  """A row of the table of estimates."""
  estimate = line["weak_scaling"]
  return [
    line["case"],
    line["topology"].split(":")[0],
    f"{1e3 * estimate['computation_s']:.2f} ({estimate['bound']})",
    *(f"{share:.1%}" for share in estimate["efficiency"].values()),
  ]


def _row(texts):
  return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
  app.run(main)

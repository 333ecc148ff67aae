r"""What TPUs would have to do, read from programs compiled without a TPU.

  pip install -e .[tpu]
  python -m benchmarks.compile_tpu --json=tpu.jsonl
  python -m benchmarks.compile_tpu --work=vae-256 --topology=v5e:16x16

libtpu compiles the training steps and generation for a slice of v5e or v6e
chips, the batch split over them; nothing is run, so there are no times. Each
chip has a quarter of a work's clips, whatever the slice, as the whole work has
them on four chips. Printed are

- the memory of a chip by the compiler's plan, without what its runtime keeps;
- the operations of a chip, by the count of `flops.py` and by XLA's, which takes
  a loop's body once (as it does in the bytes) and adds what is no product;
- the bytes that its operations read and write, as XLA estimates them, whether
  from the chip's memory or from what it holds nearer;
- the collectives of a step and the bytes of their results;
- what follows from these for larger slices, on paper
  (`tpu_programs.weak_scaling`).

A compilation takes minutes on one core; a fifth of that, for a program that
needs more memory, with JAX_EXEC_TIME_OPTIMIZATION_EFFORT=-1 in the environment.
One process at a time can use libtpu.
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

from benchmarks import tpu_programs, works
from benchmarks.tpu_programs import CHIPS, SLICES

_WORKS = flags.DEFINE_multi_enum(
  "work",
  [
    *("vae-256", "conditional-16", "modes-16", "translator-64"),
    *("video_gan_of_width_32-16", "video_gan-4", "generate-16"),
  ],
  [name for name, work in works.WORKS.items() if work.clips % 4 == 0],
  "What to compile; one or two of each kind, where none is named.",
)
_TOPOLOGIES = flags.DEFINE_multi_string(
  "topology", ["v5e:2x2", "v6e:2x2"], "The slice of chips to compile for."
)
flags.register_validator(
  _TOPOLOGIES,
  lambda slices: all(name.split(":")[0] in CHIPS for name in slices),
  f"a slice is one of {', '.join(CHIPS)} and its sides, such as v5e:2x2",
)
_UTILISATION = flags.DEFINE_float(
  "utilisation",
  0.4,
  "The share of its peak that a chip is taken to reach, on paper.",
  lower_bound=0.01,
  upper_bound=1.0,
)
_JSON = flags.DEFINE_string("json", None, "The file for a line of each.")
_HLO = flags.DEFINE_string("hlo", None, "A folder for the compiled programs.")

_ASSUMED = """\
On paper: each chip keeps its clips. It computes for as long as the products
take at {utilisation:.0%} of the published peak of bfloat16 (to which JAX's
default on a TPU rounds float32), or as long as the bytes take at the published
bandwidth of its memory if that is more. An all-reduce is a ring over one of a
chip's four links, in one direction: 2 (n - 1) / n of its bytes at a quarter of
the published bandwidth; the bytes of other collectives grow with the batch.
Each collective waits for 1 us a hop to the farthest chip of a torus and back.
Nothing overlaps. {chips}
"""


def main(argv: Sequence[str]) -> None:
  """Compiles, and prints each program's row when it is done."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; works are --work=…")
  if importlib.util.find_spec("libtpu") is None:
    sys.exit("error: libtpu is not installed; pip install -e .[tpu].")
  tpu_programs.prepare()
  print(f"The compiler's effort is {tpu_programs.effort()}, of -1 to 1.\n")
  print(_row(_HEADER), _row(["---"] * len(_HEADER)), sep="\n", flush=True)
  lines, failures = [], []
  with contextlib.ExitStack() as stack:
    if _JSON.value:
      file = stack.enter_context(pathlib.Path(_JSON.value).open("w"))
    for name in _WORKS.value:
      for topology in _TOPOLOGIES.value:
        try:
          line = tpu_programs.measure(works.WORKS[name], topology, _HLO.value)
        except jax.errors.JaxRuntimeError as error:
          failures.append(f"{name}, {topology}: {error}")
          continue
        line["weak_scaling"] = tpu_programs.weak_scaling(
          line, CHIPS[topology.split(":")[0]], _UTILISATION.value
        )
        lines.append(line)
        print(_row(cells(line)), flush=True)
        if _JSON.value:
          print(json.dumps(line), file=file, flush=True)
  print("\n" + _assumed(_UTILISATION.value))
  header = "work", "kind", "computes, ms", *(f"n = {n}" for n in SLICES)
  print(_row(header), _row(["---"] * len(header)), sep="\n")
  for line in lines:
    print(_row(cells_on_paper(line)))
  if failures:
    print("", *failures, sep="\n")


def _assumed(utilisation):
  chips = "; ".join(
    f"{kind}: {chip.flops / 1e12:.0f} TFLOP/s, memory "
    f"{chip.memory_bandwidth / 1e9:.0f} GB/s, links "
    f"{chip.links_bandwidth / 1e9:.0f} GB/s"
    for kind, chip in CHIPS.items()
  )
  return _ASSUMED.format(utilisation=utilisation, chips=f"{chips}.")


# --------------------------------------------------------------------- printed

_HEADER = (
  *("work", "slice", "chips", "clips a chip", "arguments, MiB", "outputs"),
  *("temporaries", "program", "all memory", "GFLOP a chip", "by XLA"),
  *("GB accessed", "collectives"),
)


def cells(line: Mapping[str, Any]) -> list[str]:
  """A row of the table of programs."""
  memory = line["memory_mib"]
  found = (
    f"{count['number']} {kind}, {count['bytes'] / 2**20:.3g} MiB"
    for kind, count in line["collectives"].items()
  )
  return [
    line["work"],
    line["topology"],
    str(line["chips"]),
    str(line["clips"]),
    *(f"{size:.1f}" for size in memory.values()),
    f"{sum(memory.values()):.1f}",
    f"{line['gflop']:.1f}",
    f"{line['xla_gflop']:.1f}",
    f"{line['bytes_accessed'] / 1e9:.2f}",
    "; ".join(found) or "none",
  ]


def cells_on_paper(line: Mapping[str, Any]) -> list[str]:
  """A row of the table of larger slices."""
  paper = line["weak_scaling"]
  return [
    line["work"],
    line["topology"].split(":")[0],
    f"{1e3 * paper['computing_s']:.2f} ({paper['bound']})",
    *(f"{share:.1%}" for share in paper["efficiency"].values()),
  ]


def _row(texts):
  return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
  app.run(main)

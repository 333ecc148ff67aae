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
- what follows from these for larger slices, on paper (`weak_scaling`).

A compilation takes minutes on one core; a fifth of that, for a program that
needs more memory, with JAX_EXEC_TIME_OPTIMIZATION_EFFORT=-1 in the environment.
One process at a time can use libtpu.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import flops, our_works, works
from benchmarks.works import Work
from cmm_jax import generate, phases, train

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
_UTILISATION = flags.DEFINE_float(
  "utilisation",
  0.4,
  "The share of its peak that a chip is taken to reach, on paper.",
  lower_bound=0.01,
  upper_bound=1.0,
)
_JSON = flags.DEFINE_string("json", None, "The file for a line of each.")
_HLO = flags.DEFINE_string("hlo", None, "A folder for the compiled programs.")

_CLIPS_SHARED_BY = 4  # chips


@dataclasses.dataclass(frozen=True)
class Chip:
  """The figures that the vendor publishes of a kind of chip.

  Attributes:
    flops: a second, of products of bfloat16, to which a TPU rounds float32.
    memory_bandwidth: bytes a second.
    links_bandwidth: bytes a second over its four links to other chips.
  """

  flops: float
  memory_bandwidth: float
  links_bandwidth: float


CHIPS = {
  "v5e": Chip(197e12, 819e9, 1600e9 / 8),
  "v6e": Chip(918e12, 1640e9, 3584e9 / 8),
}
_SLICES = (4, 16, 64, 256)  # squares, of which the last is a whole pod
_HOP_SECONDS = 1e-6  # from chip to chip (assumed)
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
  # libtpu would ask the cloud which machine this is, and wait for an answer.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  jax.config.update("jax_platforms", "cpu")
  print(f"The compiler's effort is {_effort()}, of -1 to 1.\n")
  print(_row(_HEADER), _row(["---"] * len(_HEADER)), sep="\n", flush=True)
  lines, failures = [], []
  with contextlib.ExitStack() as stack:
    if _JSON.value:
      file = stack.enter_context(pathlib.Path(_JSON.value).open("w"))
    for name in _WORKS.value:
      for topology in _TOPOLOGIES.value:
        try:
          line = measure(works.WORKS[name], topology, _HLO.value)
        except jax.errors.JaxRuntimeError as error:
          failures.append(f"{name}, {topology}: {error}")
          continue
        line["weak_scaling"] = weak_scaling(
          line, CHIPS[topology.split(":")[0]], _UTILISATION.value
        )
        lines.append(line)
        print(_row(cells(line)), flush=True)
        if _JSON.value:
          print(json.dumps(line), file=file, flush=True)
  print("\n" + _assumed(_UTILISATION.value))
  header = "work", "kind", "computes, ms", *(f"n = {n}" for n in _SLICES)
  print(_row(header), _row(["---"] * len(header)), sep="\n")
  for line in lines:
    print(_row(cells_on_paper(line)))
  if failures:
    print("", *failures, sep="\n")


def measure(work: Work, topology: str, folder: str | None) -> dict[str, Any]:
  """Compiles a work for a slice and reads its program.

  Args:
    work: as four chips share it; a larger slice gets more clips.
    topology: as libtpu names it, such as v5e:2x2.
    folder: for the program's text, if it is to be kept.

  Returns:
    Of a chip: MiB of memory, GFLOP, bytes and, by kind, the number and the
    bytes of collectives.
  """
  devices = topologies.get_topology_desc(
    platform="tpu", topology_name=topology
  ).devices
  chips = len(devices)
  clips = work.clips // _CLIPS_SHARED_BY
  work = dataclasses.replace(work, clips=clips * chips)
  mesh = Mesh(np.array(devices), (phases.AXIS,))
  program, arguments = traceable(work, mesh)
  compiled = program.lower(*arguments).compile()
  text = compiled.as_text()
  if folder:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    name = f"{work.name}-{topology.replace(':', '-')}.txt"
    pathlib.Path(folder, name).write_text(text)
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  parts = {
    "arguments": memory.argument_size_in_bytes,
    "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
    "temporaries": memory.temp_size_in_bytes,
    "program": memory.generated_code_size_in_bytes,
  }
  return {
    "work": work.name,
    "topology": topology,
    "chips": chips,
    "clips": clips,
    "effort": _effort(),
    "memory_mib": {name: size / 2**20 for name, size in parts.items()},
    "gflop": flops.of(work) / chips / 1e9,
    "xla_gflop": cost["flops"] / 1e9,
    "bytes_accessed": cost["bytes accessed"],
    "collectives": collectives(text),
  }


def _effort():
  return jax.config.jax_exec_time_optimization_effort


def traceable(work: Work, mesh: Mesh) -> tuple[Callable, tuple[Any, ...]]:
  """What the work runs, and the shapes and places of its arguments, of which
  the last is the batch. The mesh's devices can hold nothing."""
  optimizer = None
  if work.kind == "generate":
    # Not `generate.compiled`, whose options are those of this process.
    program = jax.jit(generate.as_arrays(our_works.architecture(work)))
  else:
    optimizer = train.make_optimizer(work.config().phases[work.kind], 1000)
    loss = our_works.phase_of(work).loss
    program = train.make_train_step(loss, optimizer, mesh)

  def arguments():
    networks = our_works.first_networks(work)
    if optimizer is None:
      return our_works.inputs_of_generation(work, networks)
    return our_works.inputs_of_step(work, networks, optimizer)

  def placed(tree, spec):
    sharding = NamedSharding(mesh, spec)
    return jax.tree.map(lambda x: x.update(sharding=sharding), tree)

  *kept, batch = jax.eval_shape(arguments)
  split = placed(batch, PartitionSpec(phases.AXIS))
  return program, (*placed(kept, PartitionSpec()), split)


# ------------------------------------------------------------- what is computed


_COLLECTIVE = re.compile(
  r"= (?P<type>.*?) (?P<kind>all-reduce|all-gather|all-to-all|reduce-scatter"
  r"|collective-broadcast|collective-permute|ragged-all-to-all)(-done)?\("
)
_ARRAY = re.compile(r"\b(?P<type>pred|[a-z]+\d+\w*)\[(?P<shape>[\d,]*)\]")


def collectives(hlo_text: str) -> dict[str, dict[str, int]]:
  """The number of each kind of collective in a compiled program, and the bytes
  of their results on one chip.

  One that is split into a start and a done counts where it is done, since only
  there its type is that of the result alone; one in a loop counts once.
  """
  found = {}
  for line in hlo_text.splitlines():
    if match := _COLLECTIVE.search(line):
      count = found.setdefault(match["kind"], {"number": 0, "bytes": 0})
      count["number"] += 1
      count["bytes"] += sum(
        _item_bytes(array["type"])
        * math.prod(int(n) for n in array["shape"].split(",") if n)
        for array in _ARRAY.finditer(match["type"])
      )
  return found


def _item_bytes(name):
  """Of a type as HLO names it: its bits are in its name, but for pred."""
  return 1 if name == "pred" else int(re.search(r"\d+", name)[0]) // 8


# -------------------------------------------------------------------- on paper


def weak_scaling(
  line: Mapping[str, Any], chip: Chip, utilisation: float
) -> dict[str, Any]:
  """How long a step would take on square slices, each chip with its clips.

  Args:
    line: what `measure` has found.
    chip: its kind.
    utilisation: the share of its peak that products reach.

  Returns:
    Seconds of computing and what they are bound by, the seconds of
    communicating by the number of chips, and by the same the efficiency:
    computing's share of both.
  """
  computing, bound = max(
    (1e9 * line["gflop"] / (chip.flops * utilisation), "products"),
    (line["bytes_accessed"] / chip.memory_bandwidth, "memory"),
  )
  number = sum(found["number"] for found in line["collectives"].values())
  communicating = {}
  for n in _SLICES:
    sent = sum(
      _sent(kind, found["bytes"], line["chips"], n)
      for kind, found in line["collectives"].items()
    )
    hops = 2 * math.isqrt(n)  # there and back, half a torus's side per axis
    seconds = sent / (chip.links_bandwidth / 4) + number * hops * _HOP_SECONDS
    communicating[n] = seconds
  return {
    "computing_s": computing,
    "bound": bound,
    "communicating_s": communicating,
    "efficiency": {
      n: computing / (computing + seconds)
      for n, seconds in communicating.items()
    },
  }


def _sent(kind, size, chips, n):
  """Bytes that each of n chips sends, if on `chips` the results have `size`."""
  if kind == "all-reduce":
    return 2 * (n - 1) / n * size
  return (n - 1) / chips * size  # all the others' share


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

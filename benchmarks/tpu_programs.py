"""What is read from programs compiled for TPUs, and what follows on paper."""

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import flops, our_works
from benchmarks.works import Work
from cmm_jax import generate, train
from cmm_jax.models import registry

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
SLICES = (4, 16, 64, 256)  # squares, of which the last is a whole pod
_HOP_SECONDS = 1e-6  # from chip to chip (assumed)


def prepare() -> None:
  """Lets libtpu compile where there is no TPU, before anything else of JAX."""
  # It would ask the cloud which machine this is, and wait for an answer.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  jax.config.update("jax_platforms", "cpu")


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
  mesh = Mesh(np.array(devices), (registry.AXIS,))
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
    "effort": effort(),
    "memory_mib": {name: size / 2**20 for name, size in parts.items()},
    "gflop": flops.of(work) / chips / 1e9,
    "xla_gflop": cost["flops"] / 1e9,
    "bytes_accessed": cost["bytes accessed"],
    "collectives": collectives(text),
  }


def effort() -> float:
  """Of the compiler, -1 to 1."""
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
  split = placed(batch, PartitionSpec(registry.AXIS))
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
  for n in SLICES:
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

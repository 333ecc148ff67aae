"""Compiles cases for TPUs, reads the programs and estimates larger slices."""

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import flops, jax_cases
from benchmarks.cases import Case
from cmm_jax import generate_step, programs, train_step
from cmm_jax.data import sources
from cmm_jax.models.base import AXIS

_CLIPS_SHARED_BY = 4  # chips
_NUM_CLIPS = 1240  # of UvA-NEMO


@dataclasses.dataclass(frozen=True)
class Chip:
  """A chip's specifications, as published by the vendor.

  Attributes:
    flops: operations per second of bfloat16 products, to which a TPU rounds
      float32.
    memory_bandwidth: bytes per second.
    links_bandwidth: bytes per second over its four links to other chips.
  """

  flops: float
  memory_bandwidth: float
  links_bandwidth: float


CHIPS = {
  "v5e": Chip(197e12, 819e9, 1600e9 / 8),
  "v6e": Chip(918e12, 1640e9, 3584e9 / 8),
}
SLICES = (4, 16, 64, 256)  # squares; the last one is a whole pod
_HOP_SECONDS = 1e-6  # between neighboring chips (assumed)


def configure() -> None:
  """Lets libtpu compile without a TPU; call it before using JAX."""
  # libtpu would ask the cloud for the machine's kind and wait for an answer.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  jax.config.update("jax_platforms", "cpu")


def measure(case: Case, topology: str, folder: str | None) -> dict[str, Any]:
  """Compiles a case for a slice and reads its program.

  Its networks compute in bfloat16, as `config.model.dtype` has it on TPUs.

  Args:
    case: at the batch size of four chips; a larger slice gets more clips.
    topology: the slice by its name in libtpu, such as v5e:2x2.
    folder: to write the program's text to, if any.

  Returns:
    For one chip: MiB of memory, GFLOP, bytes accessed, bytes copied, and the
    number and bytes of its collectives by kind.
  """
  devices = topologies.get_topology_desc(
    platform="tpu", topology_name=topology
  ).devices
  chips = len(devices)
  clips = case.clips // _CLIPS_SHARED_BY
  case = dataclasses.replace(case, clips=clips * chips, dtype="bfloat16")
  mesh = Mesh(np.array(devices), (AXIS,))
  program, arguments = traceable(case, mesh)
  compiled = program.lower(*arguments).compile()
  text = compiled.as_text()
  if folder:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    name = f"{case.name}-{topology.replace(':', '-')}.txt"
    pathlib.Path(folder, name).write_text(text)
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  parts = {
    "arguments": memory.argument_size_in_bytes,
    "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
    "temporaries": memory.temp_size_in_bytes,
    "program": memory.generated_code_size_in_bytes,
  }
  return {
    "case": case.name,
    "topology": topology,
    "chips": chips,
    "clips": clips,
    "optimization_level": optimization_level(),
    "memory_mib": {name: size / 2**20 for name, size in parts.items()},
    "gflop": flops.count_case(case) / chips / 1e9,
    "xla_gflop": cost["flops"] / 1e9,
    "bytes_accessed": cost["bytes accessed"],
    "bytes_copied": bytes_copied(text),
    "collectives": collectives(text),
  }


def optimization_level() -> str:
  """The compiler's, "O0" to "O3", or "UNKNOWN" for its own choice."""
  return jax.config.jax_optimization_level


def traceable(case: Case, mesh: Mesh) -> tuple[Callable, tuple[Any, ...]]:
  """The case's program, and its arguments as shapes with shardings.

  A training's takes many steps, on batches of a split that lies on the devices.
  The mesh's devices need not exist.
  """
  build = _generation if case.kind == "generate" else _training
  return build(case, mesh)


def _generation(case, mesh):
  def arguments():
    networks = jax_cases.initial_networks(case)
    return jax_cases.generation_inputs(case, networks)

  generate = jax_cases.build_model(case).generate
  program = generate_step.make_generate_step(generate, mesh)
  trained, photos = jax.eval_shape(arguments)
  return program, (_placed(trained, mesh), _placed(photos, mesh, AXIS))


def _training(case, mesh):
  phase, config = jax_cases.phase_of(case), case.config()
  optimizer = train_step.make_optimizer(config.phases[case.kind], 1000)
  sampling = programs.make_sampling(phase, config)
  source = sources.DeviceSource(_clips(config.data), sampling, mesh)
  program = train_step.make_train_steps(
    phase.loss, optimizer, mesh, source, many_steps=True, kept=phase.kept
  )

  def arguments():
    networks = jax_cases.initial_networks(case)
    return jax_cases.train_step_inputs(case, networks, optimizer)

  state, frozen, _ = _placed(jax.eval_shape(arguments), mesh)
  count = _placed(jax.ShapeDtypeStruct((), jnp.int32), mesh)
  return program, (state, frozen, source.shapes(), count)


def _placed(shapes, mesh, *axes):
  """Splits the arrays' first axes over the mesh's axes, if any."""
  sharding = NamedSharding(mesh, PartitionSpec(*axes))
  return jax.tree.map(lambda x: x.update(sharding=sharding), shapes)


def _clips(data):
  """As many clips as UvA-NEMO has, all of them empty."""
  shapes = {
    "landmarks": ((68, 2), np.float32),
    "action_units": ((2,), np.float32),
    "frames": ((data.image_size, data.image_size, 3), np.uint8),
  }
  clip = {
    name: np.zeros((data.num_frames, *shape), dtype)
    for name, (shape, dtype) in shapes.items()
  }
  return [{**clip, "label": 0, "cluster": 0}] * _NUM_CLIPS


# ------------------------------------------------------------ compiled programs


_COPY = re.compile(r"= (?P<type>.*?) (copy|transpose)\(")
_COLLECTIVE = re.compile(
  r"= (?P<type>.*?) (?P<kind>all-reduce|all-gather|all-to-all|reduce-scatter"
  r"|collective-broadcast|collective-permute|ragged-all-to-all)(-done)?\("
)
_ARRAY = re.compile(r"\b(?P<type>pred|[a-z]+\d+\w*)\[(?P<shape>[\d,]*)\]")


def bytes_copied(hlo_text: str) -> int:
  """The bytes of all copies and transpositions of a compiled program.

  They bring arrays into the layouts that the compiler chose, or into a nearer
  memory. One in a loop counts once.
  """
  copies = _COPY.finditer(hlo_text)
  return sum(_result_bytes(copy["type"]) for copy in copies)


def collectives(hlo_text: str) -> dict[str, dict[str, int]]:
  """Counts the collectives of a compiled program, by kind.

  A collective that is split into start and done counts at its done, where its
  type is that of the result alone. A collective in a loop counts once.

  Returns:
    The number of each kind, and the bytes of their results on one chip.
  """
  found = {}
  for line in hlo_text.splitlines():
    if match := _COLLECTIVE.search(line):
      count = found.setdefault(match["kind"], {"number": 0, "bytes": 0})
      count["number"] += 1
      count["bytes"] += _result_bytes(match["type"])
  return found


def _result_bytes(type_text):
  """The size of an array, or of all arrays of a tuple, from its HLO type."""
  return sum(
    _item_bytes(array["type"])
    * math.prod(int(n) for n in array["shape"].split(",") if n)
    for array in _ARRAY.finditer(type_text)
  )


def _item_bytes(name):
  """The size of an HLO type, whose name holds its bits, except for pred."""
  return 1 if name == "pred" else int(re.search(r"\d+", name)[0]) // 8


# ------------------------------------------------------------------- estimates


def weak_scaling(
  line: Mapping[str, Any], chip: Chip, utilization: float
) -> dict[str, Any]:
  """Estimates a step on square slices, at constant clips per chip.

  Args:
    line: the result of `measure`.
    chip: the kind of chip.
    utilization: the share of its peak that products reach.

  Returns:
    The seconds of computation and what bounds them; by number of chips, the
    seconds of communication and the efficiency, computation's share of both.
  """
  computation, bound = max(
    (1e9 * line["gflop"] / (chip.flops * utilization), "products"),
    (line["bytes_accessed"] / chip.memory_bandwidth, "memory"),
  )
  number = sum(found["number"] for found in line["collectives"].values())
  communication = {}
  for n in SLICES:
    sent = sum(
      _sent(kind, found["bytes"], line["chips"], n)
      for kind, found in line["collectives"].items()
    )
    hops = 2 * math.isqrt(n)  # there and back, half of a torus's side per axis
    seconds = sent / (chip.links_bandwidth / 4) + number * hops * _HOP_SECONDS
    communication[n] = seconds
  return {
    "computation_s": computation,
    "bound": bound,
    "communication_s": communication,
    "efficiency": {
      n: computation / (computation + seconds)
      for n, seconds in communication.items()
    },
  }


def _sent(kind, size, chips, n):
  """Bytes that each of n chips sends, where `chips` have results of `size`."""
  if kind == "all-reduce":
    return 2 * (n - 1) / n * size
  return (n - 1) / chips * size  # the shares of all others

"""Ours of each work: what `train.py` and `generate.py` run, with new weights.

  python -m benchmarks.our_works  (started by `interleave.Worker`)

The weights and what else PyTorch needs of ours are put into a file, so that
both begin alike.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import interleave, works
from benchmarks.works import Work
from cmm_jax import generate, landmarks, runtime, train
from cmm_jax.models import registry

_STEPS = 1000  # of the learning rate's cosine; no matter here


def build(work: Work, exchange: str | None = None) -> Callable[[], Any]:
  """What does the work once, to its end, each time that it is called.

  Args:
    work: what to do.
    exchange: the file that PyTorch reads, if it is to be written.
  """
  if work.kind == "product":
    return _product(work)
  networks = first_networks(work)
  if exchange:
    write_exchange(exchange, networks)
  if work.kind == "generate":
    return generation(work, networks)
  return _training(work, networks)


def architecture(work: Work) -> registry.Architecture:
  """The model's networks at the work's sizes."""
  return registry.architecture(work.config(), works.NUM_LABELS, work.model)


def phase_of(work: Work) -> registry.Phase:
  """The phase whose step the work is."""
  everything = architecture(work).phases(work.config())
  (found,) = (phase for phase in everything if phase.folder == work.folder)
  return found


def first_networks(work: Work) -> dict[str, Any]:
  """New weights of all networks that the work needs, by name."""
  nets = architecture(work)
  if work.kind == "generate":
    names = [name for used in nets.used().values() for name in used]
  else:
    phase = phase_of(work)
    names = [*phase.learns, *phase.reads]
  keys = jax.random.split(jax.random.key(0), len(names))
  return {
    name: jax.jit(functools.partial(nets.init, name))(key)
    for name, key in zip(names, keys, strict=True)
  }


def step_of(
  work: Work,
  networks: dict[str, Any],
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
) -> tuple[Callable, train.TrainState, Any, Any]:
  """The compiled step of the work's phase, and its state, frozen networks and
  batch on the devices."""
  state, frozen, batch = inputs_of_step(work, networks, optimizer)
  everywhere = NamedSharding(mesh, PartitionSpec())
  state = jax.device_put(state, everywhere)
  split = NamedSharding(mesh, PartitionSpec(registry.AXIS))
  step = train.make_train_step(phase_of(work).loss, optimizer, mesh)
  return step, state, jax.device_put(frozen), jax.device_put(batch, split)


def inputs_of_step(
  work: Work,
  networks: dict[str, Any],
  optimizer: optax.GradientTransformation,
) -> tuple[train.TrainState, dict[str, Any], dict[str, Any]]:
  """The state, the frozen networks and the batch of the work's step."""
  phase = phase_of(work)
  learnt = {name: networks[name] for name in phase.learns}
  frozen = {name: networks[name] for name in phase.reads}
  batch = {
    name: value
    for name, value in works.batch(work).items()
    if phase.with_frames or name not in ("frames", "first_frame")
  }
  return train.create_state(learnt, optimizer), frozen, batch


def write_exchange(file: str, networks: dict[str, Any]) -> None:
  """Writes the weights, and which points lines are drawn between."""
  np.savez(
    file,
    **{
      "pieces/long": landmarks.JAW_EDGES,
      "pieces/short": landmarks.OTHER_EDGES,
    },
    **traverse_util.flatten_dict(networks, sep="/"),
  )


def _training(work, networks):
  settings = work.config().phases[work.kind]
  optimizer = train.make_optimizer(settings, _STEPS)
  mesh = train.device_mesh(work.clips)
  step, state, frozen, batch = step_of(work, networks, optimizer, mesh)

  def run():
    nonlocal state
    state, terms = step(state, frozen, batch)
    jax.block_until_ready(state)
    return float(terms["loss"])

  return run


def generation(work: Work, networks: dict[str, Any]) -> Callable[[], Any]:
  """What makes the smiles of the work's photos."""
  trained, inputs = inputs_of_generation(work, networks)
  nets = architecture(work)
  trained, made = trained, generate.compiled(nets)
  return lambda: jax.device_get(made(trained, inputs))


def inputs_of_generation(
  work: Work, networks: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """The networks of generation, by phase, and the work's photos."""
  trained = {
    folder: {name: networks[name] for name in names}
    for folder, names in architecture(work).used().items()
  }
  inputs = {
    name: value
    for name, value in works.batch(work).items()
    if name in ("first_frame", "first_points", "label")
  }
  return trained, inputs


def _product(work):
  matrix = jnp.ones((works.PRODUCT_SIZE,) * 2)
  options = runtime.compiler_options()
  product = jax.jit(lambda a, b: a @ b, compiler_options=options)

  def run():
    for _ in range(work.clips):
      product(matrix, matrix).block_until_ready()

  return run


if __name__ == "__main__":
  runtime.configure()
  interleave.serve(build)

"""The cases in JAX: training steps, and generation, with new weights.

  python -m benchmarks.jax_cases  (started by `interleave.Worker`)

A step is that of `train_step.make_train_step` on a ready batch. A training runs
`train_step.make_train_steps`, which also samples the batch on the device and,
on a GPU or TPU, takes many steps per dispatch.

The weights are written to a file, from which PyTorch reads them.
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

from benchmarks import cases, interleave
from benchmarks.cases import Case
from cmm_jax import generate_step, landmarks, programs, runtime, train_step
from cmm_jax.models import registry
from cmm_jax.models.base import AXIS, Model, Phase

_STEPS = 1000  # of the learning rate's decay; no matter here


def build(
  case: Case, device: str | None = None, weights_file: str | None = None
) -> Callable[[int], Any]:
  """Builds a case; returns `run(repeats)`.

  Args:
    case: to run.
    device: "cpu" or "gpu", on which JAX must run; None for any.
    weights_file: to write for PyTorch, if any.

  Raises:
    RuntimeError: JAX runs on another device.
  """
  backend = jax.default_backend()
  if device not in (None, backend):
    raise RuntimeError(
      f"JAX runs on the {backend}; for a {device} set JAX_PLATFORMS and, if it "
      "is a GPU, install JAX with CUDA."
    )
  if case.kind == "matmul":
    return _matmul(case)
  networks = initial_networks(case)
  if weights_file:
    write_weights(weights_file, networks)
  if case.kind == "generate":
    return generation(case, networks)
  return _training(case, networks)


def build_model(case: Case) -> Model:
  """The model at the case's sizes."""
  return registry.build(case.config(), cases.NUM_LABELS, case.model)


def phase_of(case: Case) -> Phase:
  """The phase whose training step the case is."""
  phases = build_model(case).phases(case.config())
  (phase,) = (p for p in phases if p.checkpoint_name == case.phase)
  return phase


def initial_networks(case: Case) -> dict[str, Any]:
  """New variables of all networks that the case needs, by name."""
  model = build_model(case)
  if case.kind == "generate":
    phases = model.inference_networks().values()
    names = [name for names in phases for name in names]
  else:
    phase = phase_of(case)
    names = [*phase.trainable, *phase.frozen]
  keys = jax.random.split(jax.random.key(0), len(names))
  return {
    name: jax.jit(functools.partial(model.init, name))(key)
    for name, key in zip(names, keys, strict=True)
  }


def build_train_step(
  case: Case,
  networks: dict[str, Any],
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
) -> tuple[Callable, train_step.TrainState, Any, Any]:
  """The compiled step of the case's phase, with its arguments on the devices:
  the state, the frozen networks and the batch."""
  state, frozen, batch = train_step_inputs(case, networks, optimizer)
  replicated = NamedSharding(mesh, PartitionSpec())
  state, frozen = jax.device_put((state, frozen), replicated)
  batch = jax.device_put(batch, NamedSharding(mesh, PartitionSpec(AXIS)))
  step = train_step.make_train_step(phase_of(case).loss, optimizer, mesh)
  return step, state, frozen, batch


def train_step_inputs(
  case: Case,
  networks: dict[str, Any],
  optimizer: optax.GradientTransformation,
) -> tuple[train_step.TrainState, dict[str, Any], dict[str, Any]]:
  """The state, the frozen networks and the batch of the case's step."""
  phase = phase_of(case)
  trainable = {name: networks[name] for name in phase.trainable}
  frozen = {name: networks[name] for name in phase.frozen}
  batch = {
    name: value
    for name, value in cases.batch(case).items()
    if phase.with_frames or name not in ("frames", "first_frame")
  }
  return train_step.create_state(trainable, optimizer), frozen, batch


def write_weights(file: str, networks: dict[str, Any]) -> None:
  """Writes the variables, and the edges of landmark images."""
  np.savez(
    file,
    **{
      "edges/jaw": landmarks.JAW_EDGES,
      "edges/other": landmarks.OTHER_EDGES,
    },
    **traverse_util.flatten_dict(networks, sep="/"),
  )


def _training(case, networks):
  settings = case.config().phases[case.kind]
  optimizer = train_step.make_optimizer(settings, _STEPS)
  mesh = programs.device_mesh(case.clips)
  step, state, frozen, batch = build_train_step(case, networks, optimizer, mesh)

  def run(repeats):
    nonlocal state
    for _ in range(repeats):
      state, metrics = step(state, frozen, batch)
    jax.block_until_ready(state)
    return float(metrics["loss"])

  return run


def generation(
  case: Case, networks: dict[str, Any]
) -> Callable[[int], dict[str, np.ndarray]]:
  """Generates from the case's photos; returns `run(repeats)`."""
  trained, inputs = generation_inputs(case, networks)
  trained = jax.device_put(trained)
  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
  generate = generate_step.make_generate_step(build_model(case).generate, mesh)

  def run(repeats):
    for _ in range(repeats):
      arrays = jax.device_get(generate(trained, inputs))
    return arrays

  return run


def generation_inputs(
  case: Case, networks: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """The networks that generate, by phase, and the case's photos."""
  trained = {
    phase: {name: networks[name] for name in names}
    for phase, names in build_model(case).inference_networks().items()
  }
  return trained, cases.photos(case)


def _matmul(case):
  matrix = jnp.ones((case.frames,) * 2, case.dtype)
  options = runtime.compiler_options()
  product = jax.jit(jnp.matmul, compiler_options=options)

  def run(repeats):
    for _ in range(case.clips * repeats):
      result = product(matrix, matrix)
      if jax.default_backend() == "cpu":  # not several at once
        result.block_until_ready()
    result.block_until_ready()

  return run


def _device_peak_mb():
  stats = jax.devices()[0].memory_stats() or {}
  peak = stats.get("peak_bytes_in_use")
  return peak / 1e6 if peak else None


if __name__ == "__main__":
  runtime.configure()
  interleave.serve(build, _device_peak_mb)

"""The training state, and the compiled programs that update it."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax import struct
from jax.sharding import Mesh, PartitionSpec

from cmm_jax import runtime
from cmm_jax.data.sources import DeviceSource, StreamSource
from cmm_jax.models.base import AXIS


class TrainState(struct.PyTreeNode):
  """All that changes while a phase trains, and all that a checkpoint holds."""

  step: jax.Array
  networks: dict[str, Any]  # name -> {"params", "batch_stats"}
  opt_state: dict[str, optax.OptState]


def make_optimizer(
  settings: ml_collections.ConfigDict, steps: int
) -> optax.GradientTransformation:
  """Adam; a cosine decays the learning rate to a tenth (ours)."""
  rate = optax.cosine_decay_schedule(settings.learning_rate, steps, alpha=0.1)
  return optax.adam(rate, b1=settings.beta1)


def create_state(
  networks: Mapping[str, Any], optimizer: optax.GradientTransformation
) -> TrainState:
  """The state before the first step."""
  opt_state = {n: optimizer.init(v["params"]) for n, v in networks.items()}
  return TrainState(jnp.zeros((), jnp.int32), dict(networks), opt_state)


def make_train_step(
  loss: Callable[..., Any],
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  *,
  kept: Collection[str] = (),
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Returns `step(state, frozen, batch) -> (state, metrics)`.

  The batch is split over the mesh's one axis. Gradients are averaged over it,
  and every random number belongs to an example, so the result does not depend
  on the number of devices. Networks outside `state`, and those in `kept`, are
  not trained.
  """
  update = functools.partial(_update, loss, optimizer, mesh, kept=kept)
  return _compile(update, mesh, PartitionSpec(AXIS))


def make_train_steps(
  loss: Callable[..., Any],
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  source: DeviceSource | StreamSource,
  *,
  many_steps: bool,
  kept: Collection[str] = (),
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Returns `steps(state, frozen, arrays, count) -> (state, metrics)`.

  One dispatch takes `count` steps (int32 []) with the arrays that the source
  gave for them; each device makes its own part of the batches. The metrics are
  means over the steps, beside "finite_steps", how many steps had a finite loss
  before the first that had not.

  Args:
    loss: the phase's loss.
    optimizer: of all networks.
    mesh: the devices.
    source: makes the batches.
    many_steps: whether `count` counts; the program takes one step otherwise.
      XLA's CPU compiler runs the body of a loop several times slower (jaxlib
      0.10.2).
    kept: the networks in the state that are not trained.
  """

  def one_step(state, frozen, arrays, index):
    batch = source.make_batch(arrays, state.step, index)
    state, metrics = _update(
      loss, optimizer, mesh, state, frozen, batch, kept=kept
    )
    return state, metrics, jnp.isfinite(metrics["loss"])

  def take_one_step(state, frozen, arrays, count):
    del count
    state, metrics, finite = one_step(state, frozen, arrays, 0)
    return state, {**metrics, "finite_steps": finite.astype(jnp.int32)}

  def take_steps(state, frozen, arrays, count):
    def body(index, carry):
      state, total, finite_steps, all_finite = carry
      state, metrics, finite = one_step(state, frozen, arrays, index)
      all_finite &= finite
      total = jax.tree.map(jnp.add, total, metrics)
      return state, total, finite_steps + all_finite, all_finite

    _, shapes, _ = jax.eval_shape(one_step, state, frozen, arrays, 0)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    carry = state, zeros, jnp.int32(0), jnp.bool_(True)
    state, total, finite_steps, _ = jax.lax.fori_loop(0, count, body, carry)
    metrics = jax.tree.map(lambda value: value / count, total)
    return state, {**metrics, "finite_steps": finite_steps}

  function = take_steps if many_steps else take_one_step
  return _compile(function, mesh, source.spec, PartitionSpec())


def _update(loss, optimizer, mesh, state, frozen, batch, *, kept=()):
  """One step on this device's part of the batch."""
  trainable = {n: v for n, v in state.networks.items() if n not in kept}
  frozen = {**frozen, **{n: state.networks[n] for n in kept}}

  def average(tree):
    # On one device XLA would copy all that it is to average.
    return jax.lax.pmean(tree, AXIS) if mesh.size > 1 else tree

  def loss_of(params):
    trained = {n: {**v, "params": params[n]} for n, v in trainable.items()}
    return loss({**frozen, **trained}, batch)

  params = {n: v["params"] for n, v in trainable.items()}
  gradient = jax.value_and_grad(loss_of, has_aux=True)
  (value, (metrics, statistics)), grads = gradient(params)
  grads = average(grads)
  metrics = {"loss": value, **metrics}

  networks, opt_state = dict(state.networks), dict(state.opt_state)
  for name, grad in grads.items():
    updates, opt_state[name] = optimizer.update(
      grad, state.opt_state[name], params[name]
    )
    networks[name] = {
      **state.networks[name],
      "params": optax.apply_updates(params[name], updates),
    }
    if name in statistics:
      networks[name]["batch_stats"] = statistics[name]
    metrics[f"grad_norm_{name}"] = optax.tree.norm(grad)
  return TrainState(state.step + 1, networks, opt_state), average(metrics)


def _compile(function, mesh, *batch_specs):
  """Maps `function(state, frozen, *batch)` over the mesh and compiles it."""
  everywhere = PartitionSpec()
  mapped = jax.shard_map(
    function,
    mesh=mesh,
    in_specs=(everywhere, everywhere, *batch_specs),
    out_specs=everywhere,
    # Replication is seen to by the averages; the check would need a cast in
    # every scan of every network.
    check_vma=False,
  )
  options = runtime.compiler_options(mesh.devices.flat[0].platform)
  return jax.jit(mapped, donate_argnums=0, compiler_options=options)

"""Losses and gradients of every phase, against the same in float64."""

import time

from faults import table

# Relative, of the loss and of each network's gradient: float32 through the
# BatchNorms of two channels.
_TOLERANCE = 5e-3


def phases() -> table.Row:
  """Compares each phase's loss and gradients on one batch at small sizes.

  Random numbers are drawn in float32 both times. For the reference the name
  jnp.float32, to which networks cast their outputs, means float64.
  """
  import jax
  import jax.numpy as jnp
  import miniature
  import numpy as np

  from cmm_jax.models import cmm_net, cra_net, video_gan

  modules = cmm_net, cra_net, video_gan
  real = [module.compute_dtype for module in modules]
  single, double = jnp.float32, jnp.float64
  normal, bernoulli = jax.random.normal, jax.random.bernoulli
  jax.random.normal = lambda key, shape=(), dtype=None: normal(
    key, shape, single
  )
  jax.random.bernoulli = lambda key, p=0.5, shape=None: bernoulli(
    key, single(p), shape
  )
  worst, slowest, lost, tried = 0.0, 0.0, [], 0
  try:
    for name in ("cmm_net", "cra_net", "video_gan"):
      _, expected_phases = miniature.build_model(name)
      for phase_name in expected_phases:
        start, values = time.monotonic(), []
        for dtype in (single, double):
          jnp.float32 = single
          for module in modules:
            module.compute_dtype = lambda config, dtype=dtype: dtype
          miniature.build_model.cache_clear()
          with jax.enable_x64(dtype is double):
            values.append(_loss_and_grads(name, phase_name, dtype))
        (loss, grads), (wide_loss, wide_grads) = values
        errors = {"loss": abs(loss - wide_loss) / abs(wide_loss)}
        for network, grad in wide_grads.items():
          norm = np.linalg.norm(grad)
          gap = np.linalg.norm(grads[network] - grad)
          errors[network] = gap / norm if norm else gap
        worst = max(worst, *errors.values())
        tried += 1
        if bad := {k: v for k, v in errors.items() if not v < _TOLERANCE}:
          lost.append(f"{phase_name}: {bad}")
        slowest = max(slowest, time.monotonic() - start)
  finally:
    jnp.float32 = single
    jax.random.normal, jax.random.bernoulli = normal, bernoulli
    for module, function in zip(modules, real, strict=True):
      module.compute_dtype = function
    miniature.build_model.cache_clear()
  return table.Row(
    "loss and gradients of a phase against float64 (worst relative error "
    f"{worst:.0e})",
    tried,
    tried - len(lost),
    len(lost),
    seconds=slowest,
    details=tuple(lost),
  )


def _loss_and_grads(model_name, phase_name, dtype):
  """The loss, and each trained network's gradient as one float64 vector."""
  import jax
  import jax.numpy as jnp
  import miniature
  import numpy as np
  from jax.flatten_util import ravel_pytree
  from jax.sharding import Mesh, PartitionSpec

  from cmm_jax import programs
  from cmm_jax.data import pipeline
  from cmm_jax.models import clusters
  from cmm_jax.models.base import AXIS

  model, built = miniature.build_model(model_name)
  phase, config = built[phase_name], miniature.config("nowhere", "nowhere")
  sampling = programs.make_sampling(phase, config)
  clips = [miniature.clip(i % 4, i % 2, i // 8) for i in range(16)]
  clips = clusters.ClusteredClips(clips, config.model.num_modes)
  with jax.enable_x64(False):
    arrays = pipeline.to_arrays(clips, with_frames=phase.with_frames)
    batch = pipeline.sample(arrays, jnp.int32(0), sampling)
    names = (*phase.trainable, *phase.frozen)
    networks = {
      name: model.init(name, jax.random.key(number))
      for number, name in enumerate(names)
    }
    networks, batch = jax.device_get((networks, batch))

  def cast(x):
    is_float = np.issubdtype(np.asarray(x).dtype, np.floating)
    return jnp.asarray(x, dtype if is_float else None)

  networks, batch = jax.tree.map(cast, (networks, batch))
  jnp.float32 = dtype
  trained = {name: networks[name]["params"] for name in phase.trainable}

  def loss(params):
    updated = {n: {**networks[n], "params": p} for n, p in params.items()}
    return phase.loss({**networks, **updated}, batch)[0]

  mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
  everywhere = PartitionSpec()
  mapped = jax.shard_map(
    jax.value_and_grad(loss),
    mesh=mesh,
    in_specs=everywhere,
    out_specs=everywhere,
    check_vma=False,
  )
  value, grads = jax.jit(mapped)(trained)
  flat = {n: np.asarray(ravel_pytree(g)[0], float) for n, g in grads.items()}
  return float(value), flat

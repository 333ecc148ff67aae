"""The compiled step that generates, with the faces split over the devices."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cmm_jax import runtime
from cmm_jax.models.base import AXIS


def to_arrays(generate: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
  """Wraps `Model.generate` to return arrays by name; traceable.

  "landmark_images" and "frames" are uint8; "motion" is float16 [b s t h w 6],
  as `full_size.render` takes it, or None from a model without motion.
  """

  def generate_arrays(networks, inputs):
    images, made = generate(networks, inputs)
    if images is not None:
      images = jnp.round(255 * images[..., 0]).astype(jnp.uint8)
    frames = jnp.round(127.5 * (made.faces + 1)).astype(jnp.uint8)
    motion = None
    if made.flow is not None:
      motion = jnp.concatenate([made.flow, made.mask, made.new_pixels], -1)
      motion = motion.astype(jnp.float16)
    return {"landmark_images": images, "frames": frames, "motion": motion}

  return generate_arrays


def make_generate_step(
  generate: Callable[..., Any], mesh: Mesh
) -> Callable[..., dict[str, Any]]:
  """Compiles `step(networks, inputs)`, which returns what `to_arrays` names.

  Each device of the mesh generates from its own share of the faces; without
  the mapping the loop over faces would run as a whole on every device.

  Args:
    generate: `Model.generate`.
    mesh: of one axis, over which the faces are split evenly.
  """
  everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
  mapped = jax.shard_map(
    to_arrays(generate),
    mesh=mesh,
    in_specs=(everywhere, split),
    out_specs=split,
    # As in `train_step`: the check would need casts in all scans.
    check_vma=False,
  )
  options = runtime.compiler_options(mesh.devices.flat[0].platform)
  return jax.jit(mapped, compiler_options=options)


def on_local_devices(
  generate: Callable[..., Any], networks: Any
) -> Callable[[dict[str, np.ndarray]], dict[str, Any]]:
  """Makes `program(inputs)`, from and to arrays of the host.

  It takes any number of faces, and as many of this process's devices as these
  can keep busy.

  Args:
    generate: `Model.generate`.
    networks: as it takes them.
  """

  @functools.cache
  def placed_on(num_devices):
    mesh = Mesh(np.array(jax.local_devices()[:num_devices]), (AXIS,))
    everywhere = NamedSharding(mesh, PartitionSpec())
    step = make_generate_step(generate, mesh)
    return functools.partial(step, jax.device_put(networks, everywhere))

  def program(inputs):
    num_faces = len(inputs["label"])
    per_device = math.ceil(num_faces / jax.local_device_count())
    num_devices = math.ceil(num_faces / per_device)
    # The last device's share is filled with faces that are there.
    filled = {
      name: np.resize(value, (num_devices * per_device, *value.shape[1:]))
      for name, value in inputs.items()
    }
    arrays = jax.device_get(placed_on(num_devices)(filled))
    return jax.tree.map(lambda array: array[:num_faces], arrays)

  return program

"""Banks of other numbers of modes, traced and not compiled, to be quick."""

import functools

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from cmm_jax.data import augment, pipeline
from cmm_jax.models import registry
from cmm_jax.models.base import AXIS


def traced_model(config, **model):
  """The model, its phases by name, and the shapes of its networks."""
  config = config.copy_and_resolve_references().unlock()
  config.model.update(model)
  built = registry.build(config, len(miniature.LABELS))
  networks = {
    name: jax.eval_shape(functools.partial(built.init, name), jax.random.key(0))
    for name in built.networks()
  }
  return built, {p.name: p for p in built.phases(config)}, networks


def batch_shapes(size):
  sampling = pipeline.Sampling(
    clips_per_batch=4,
    frames_per_clip=2,
    augmentation=augment.Augmentation(),
    seed=0,
    image_size=size,
  )
  clips = [
    {
      "frames": np.zeros((miniature.NUM_FRAMES, size, size, 3), np.uint8),
      "landmarks": np.zeros((miniature.NUM_FRAMES, 68, 2), np.float32),
      "action_units": np.zeros((miniature.NUM_FRAMES, 2), np.float32),
      "label": 0,
      "cluster": 0,
    }
  ] * 4
  return jax.eval_shape(
    functools.partial(pipeline.sample, sampling=sampling),
    pipeline.to_arrays(clips),
    jnp.int32(0),
  )


@pytest.mark.parametrize("num_modes", [2, 8])
def test_a_bank_of_any_size_trains_and_generates(config, num_modes):
  model, phases, networks = traced_model(config, num_modes=num_modes)
  batch = batch_shapes(miniature.SIZE)

  _, (loss, _) = jax.make_jaxpr(
    phases["modes"].loss, axis_env=[(AXIS, 1)], return_shape=True
  )(networks, batch)

  assert loss.shape == ()
  trained = {"modes": networks, "translator": networks}
  inputs = {**batch, "strength": jnp.zeros(4)}

  def generate(trained, inputs):
    images, made = model.generate(trained, inputs)
    return images, made.faces

  images, faces = jax.eval_shape(generate, trained, inputs)
  sequences = (4, num_modes + 1, miniature.NUM_FRAMES)
  size = miniature.SIZE
  assert images.shape == (*sequences, size, size, 1)
  assert faces.shape == (*sequences, size, size, 3)

"""What trains each mode of the bank."""

import functools

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from cmm_jax.data import augment, pipeline


@pytest.fixture
def batch(clips):
  sampling = pipeline.Sampling(
    clips_per_batch=4,
    frames_per_clip=2,
    augmentation=augment.Augmentation(),
    seed=0,
    image_size=miniature.SIZE,
    with_frames=False,
  )
  arrays = pipeline.to_arrays(clips, with_frames=False)
  return jax.device_get(pipeline.sample(arrays, jnp.int32(0), sampling))


def test_a_mode_learns_from_the_clips_of_its_cluster_alone(batch):
  model, phases = miniature.build_model()
  loss_config = miniature.config("nowhere", "nowhere").loss
  loss_config.unlock()
  loss_config.update(pull=0.0, push=0.0)
  phase = phases["modes"]
  loss = functools.partial(phase.loss.func, loss_config)
  networks = miniature.first_networks("cmm_net", tuple(phase.trainable))
  batch = {**batch, "cluster": np.ones_like(batch["label"])}

  gradient = jax.jit(jax.grad(loss, has_aux=True))(networks, batch)[0]

  assert model.modes.num_modes > 2
  for path, leaf in jax.tree.leaves_with_path(gradient["modes"]):
    trained = [bool(np.any(of_mode)) for of_mode in leaf]
    assert trained == [mode == 1 for mode in range(len(leaf))], path

"""The cases at sizes that compile and run in seconds."""

import jax
import numpy as np

from benchmarks import jax_cases
from benchmarks.cases import Case


def small_case(kind, dtype="float32", landmark_image_size=16):
  if kind == "matmul":
    return Case(kind, kind, clips=2, frames=8, dtype=dtype)
  frames = 8 if kind == "video_gan" else 4
  sizes = {
    "data.image_size": 32 if kind in ("translator", "generate") else 16,
    "data.num_frames": frames,
    "model.landmark_image_size": landmark_image_size,
    "model.embedding_dim": 6,
    "model.vae_width": 4,
    "model.lstm_dim": 5,
    "model.translator_width": 4,
    "model.video_gan_width": 2,
  }
  if kind != "video_gan":
    frames = 2
  return Case(kind, kind, clips=3, frames=frames, dtype=dtype, sizes=sizes)


def random_networks(case):
  """Variables without zeros.

  At zero the gradient of a LeakyReLU is a convention, and new biases over black
  pixels give zeros.
  """
  random = np.random.default_rng(0)
  shapes = jax.eval_shape(lambda: jax_cases.initial_networks(case))

  def fill(shape):
    deviation = 1.5 / np.sqrt(max(1, np.prod(shape.shape[:-1])))
    values = np.abs(random.normal(0, deviation, shape.shape)) + 0.01
    signs = random.choice([-1, 1], shape.shape) if len(shape.shape) > 1 else 1
    return (signs * values).astype(np.float32)

  return jax.tree.map(fill, shapes)

r"""Times what makes batches, and what the host does for a step.

  python -m benchmarks.input_pipeline --data_dir=data

A row for each phase of `configs/virtual_smiles.py`, on the CPU:

- batches a second of `pipeline.sample`, the program that makes a step's batch
  on the device, alone;
- of Grain's threads, which read the frames of a streamed split;
- of the same warps and colors by Pillow, example by example, as a host would
  make them;
- milliseconds of the host's work per step, where one dispatch takes 50: the
  call of the compiled program with the phase's whole state, for no step at all.
"""

import functools
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from PIL import Image

from cmm_jax import programs, train_step
from cmm_jax.data import pipeline, sources
from cmm_jax.data.clips import Clips
from cmm_jax.models import registry
from configs import virtual_smiles

_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Where the datasets are.")
_NAME = flags.DEFINE_string("name", "virtual_smiles/quick", "The dataset.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds; medians are printed.")

_STEPS_PER_DISPATCH = 50


def main(argv: Sequence[str]) -> None:
  """Prints the table."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  config = virtual_smiles.get_config()
  clips = Clips(_DATA_DIR.value, _NAME.value, "train")
  model = registry.build(config, len(clips.labels))
  print("| phase | batch | device, 1/s | Grain, 1/s | Pillow, 1/s | host, ms |")
  print("|---|---|---|---|---|---|")
  for phase in model.phases(config):
    settings = config.phases[phase.name]
    sampling = programs.make_sampling(phase, config)
    mesh = programs.device_mesh(settings.clips_per_batch)
    host = _dispatch_seconds(phase, model, config, clips, mesh)
    pillow = "-"
    if phase.with_frames:
      pillow = f"{_pillow_rate(clips, sampling):.0f}"
    print(
      f"| {phase.name} | {settings.clips_per_batch} x "
      f"{settings.frames_per_clip} | {_device_rate(clips, sampling):.0f} "
      f"| {_grain_rate(clips, sampling, mesh):.0f} | {pillow} "
      f"| {1e3 * host / _STEPS_PER_DISPATCH:.3f} |",
      flush=True,
    )


def _rate(make: Callable[[int], None], count: int) -> float:
  """Calls of `make` a second, in the median round of `count` calls.

  It gets the number of the call, from 0; the first one is not timed.
  """
  make(0)
  rates = []
  for number in range(_ROUNDS.value):
    began = time.perf_counter()
    for step in range(count):
      make(1 + number * count + step)
    rates.append(count / (time.perf_counter() - began))
  return statistics.median(rates)


def _device_rate(clips, sampling):
  split = jax.device_put(
    pipeline.to_arrays(clips, with_frames=sampling.with_frames)
  )
  sample = jax.jit(functools.partial(pipeline.sample, sampling=sampling))
  return _rate(
    lambda step: jax.block_until_ready(sample(split, jnp.int32(step))), 50
  )


def _grain_rate(clips, sampling, mesh):
  source = sources.StreamSource(clips, sampling, mesh)

  def take(number):
    jax.block_until_ready(source.take(16 * number, 16))

  return _rate(take, 4) * 16


def _pillow_rate(clips, sampling):
  random = np.random.default_rng(0)
  size = sampling.image_size

  def make_batch(_):
    for row in random.integers(len(clips), size=sampling.clips_per_batch):
      times = random.integers(sampling.frames_per_clip, size=1)
      colors = np.eye(3) + random.normal(0, 0.1, (3, 3))
      affine = np.eye(3)[:2].ravel() + random.normal(0, 0.01, 6)
      for frame in clips[row]["frames"][[0, *times]]:
        warped = Image.fromarray(frame).transform(
          (size, size),
          Image.Transform.AFFINE,
          affine,
          Image.Resampling.BILINEAR,
        )
        pixels = (np.float32(warped) - 127.5) @ colors + 127.5
        pixels.clip(0, 255).round().astype(np.uint8)

  return _rate(make_batch, 20)


def _dispatch_seconds(phase, model, config, clips, mesh):
  """Seconds of a dispatch that takes no step."""
  optimizer = train_step.make_optimizer(config.phases[phase.name], 1000)
  names = {*phase.trainable, *phase.frozen}
  networks = {name: model.init(name, jax.random.key(0)) for name in names}
  state = train_step.create_state(
    {name: networks[name] for name in phase.trainable}, optimizer
  )
  frozen = {name: networks[name] for name in phase.frozen}
  sampling = programs.make_sampling(phase, config)
  source = sources.DeviceSource(clips, sampling, mesh)
  state, frozen = sources.replicate((state, frozen), mesh)

  def loss(networks, batch):
    del batch
    return sum(jnp.sum(x) for x in jax.tree.leaves(networks)), ({}, {})

  steps = train_step.make_train_steps(
    loss, optimizer, mesh, source, many_steps=True
  )

  def dispatch(_):
    nonlocal state
    state, _ = steps(state, frozen, source.take(0, 0), jnp.int32(0))

  return 1 / _rate(dispatch, 50)


if __name__ == "__main__":
  app.run(main)

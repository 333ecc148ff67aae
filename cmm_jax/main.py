"""Trains every phase that is not yet trained.

python -m cmm_jax.main --config=configs/nemo.py

The same command goes on after an interruption. What the paper compares
CMM-Net with is trained beside it with --config.train.model=video_gan,cra_net,
and other forms of the modes' losses with --config.train.model=mode_loss_variants.
"""

import os
import sys

from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The run's settings, a file in configs/.", lock_config=True
)


def main(argv: list[str]) -> None:
  """Trains, with a user's mistakes reported in one line."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  try:
    train_all(_CONFIG.value)
  except (FileNotFoundError, FloatingPointError, ValueError) as error:
    logging.debug("", exc_info=True)
    sys.exit(f"error: {error}")
  except KeyboardInterrupt:
    print(
      "Stopped; the same command goes on from the last checkpoint.",
      file=sys.stderr,
    )
    _leave_at_once()


def train_all(config) -> None:
  """Trains the models' phases in order, skipping those that are done."""
  from cmm_jax import checkpoints, runtime, train
  from cmm_jax.data import pipeline
  from cmm_jax.models import registry

  runtime.configure()
  clips = pipeline.Clips(config.data.data_dir, config.data.name, "train")
  clips.check_size(config.data.num_frames, config.data.image_size)
  models = [
    registry.architecture(config, len(clips.labels), name)
    for name in registry.named(config.train.model)
  ]
  checkpoints.save_or_check_config(config.workdir, config, clips.labels)
  for nets in models:
    for phase in nets.phases(config):
      train.run(phase, nets, config, clips)


def _leave_at_once():
  """Ends the process with 130, which is how a shell reports SIGINT.

  A program that is being compiled goes on in a thread of XLA's, which crashes
  on what the interpreter takes down when it ends in an orderly way.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(130)


if __name__ == "__main__":
  flags.mark_flag_as_required("config")
  app.run(main)

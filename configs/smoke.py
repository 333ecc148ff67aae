"""Seconds of training at the smallest sizes, for the tests."""

import ml_collections

from configs import quick


def get_config() -> ml_collections.ConfigDict:
  """Returns the quick run's settings, shrunk."""
  config = quick.get_config()
  config.workdir = "runs/smoke"
  config.model.embedding_dim = 8
  config.model.vae_width = 2
  config.model.lstm_dim = 8
  config.model.translator_width = 2
  config.model.regressor_width = 2
  config.model.video_gan_width = 2
  for phase in config.phases.values():
    phase.update(epochs=0.001, clips_per_batch=8, frames_per_clip=2)
  # Video-GAN's discriminator takes whole clips.
  config.phases.video_gan.frames_per_clip = config.data.num_frames
  return config

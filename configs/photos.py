r"""Faces of 128 pixels: what the weights in the package are trained with.

python -m tfds_builders.virtual_smiles --config=full_128 --data_dir=data
python -m cmm_jax.main --config=configs/photos.py
"""

import ml_collections

from configs import laptop


def get_config() -> ml_collections.ConfigDict:
  """Returns the laptop run's settings, for larger faces and real photos."""
  config = laptop.get_config()
  config.workdir = "runs/photos"
  config.data.name = "virtual_smiles/full_128"
  config.data.image_size = 128

  # Photos have the light of any room, and the blur and compression of any
  # camera.
  config.data.color = 0.3
  config.data.light = 0.25
  config.data.blur = 0.8
  config.data.compression = 1.5

  config.model.translator_width = 24

  # With less the discriminator asks for detail that frays lids and teeth: with
  # 0.08 from about half of the steps on, without noise the flow, too.
  config.loss.instance_noise = 0.3
  config.phases.translator.update(
    epochs=1.6, clips_per_batch=12, frames_per_clip=1, learning_rate=5e-4
  )

  config.train.picture_every_steps = 500
  config.train.checkpoint_every_steps = 500
  return config

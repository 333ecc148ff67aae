r"""The same networks, narrower and trained for minutes on two CPU cores.

python -m tfds_builders.virtual_smiles --config=quick --data_dir=data
python -m cmm_jax.main --config=configs/quick.py
"""

import ml_collections

from configs import virtual_smiles


def get_config() -> ml_collections.ConfigDict:
  """Returns the settings of the run that `./run.sh` makes."""
  config = virtual_smiles.get_config()
  config.workdir = "runs/quick"
  config.data.name = "virtual_smiles/quick"

  config.model.vae_width = 16
  config.model.lstm_dim = 256
  config.model.translator_width = 24
  config.model.regressor_width = 16
  config.model.video_gan_width = 16

  # In so few steps the discriminator does not win.
  config.loss.instance_noise = 0.0

  # Small batches of many clips: on so few clips more steps beat larger ones.
  config.phases.vae.update(
    epochs=12.0, clips_per_batch=32, frames_per_clip=1, learning_rate=2e-3
  )
  config.phases.conditional.update(
    epochs=2.0, clips_per_batch=16, frames_per_clip=2
  )
  config.phases.modes.update(epochs=0.9, clips_per_batch=12, frames_per_clip=2)
  config.phases.translator.update(epochs=1.2, learning_rate=1e-3)
  config.phases.regressors.update(epochs=1.25, frames_per_clip=2)
  config.phases.cra_net_vae.update(
    epochs=6.0, clips_per_batch=32, frames_per_clip=1, learning_rate=2e-3
  )
  config.phases.cra_net.update(
    epochs=2.0, clips_per_batch=16, frames_per_clip=2
  )
  # Few clips at a time, so that minutes hold the steps it needs for faces.
  config.phases.video_gan.update(
    epochs=20.0, clips_per_batch=4, learning_rate=5e-4
  )

  config.train.picture_every_steps = 200
  config.train.checkpoint_every_steps = 200
  return config

r"""The rendered dataset whole, narrow networks: half an hour on two CPU cores.

python -m tfds_builders.virtual_smiles --config=full --data_dir=data
python -m cmm_jax.main --config=configs/laptop.py
"""

import ml_collections

from configs import quick


def get_config() -> ml_collections.ConfigDict:
  """Returns the quick run's settings, wider, on all clips."""
  config = quick.get_config()
  config.workdir = "runs/laptop"
  config.data.name = "virtual_smiles/full"

  config.model.vae_width = 24
  config.model.translator_width = 32

  config.phases.vae.epochs = 8.0
  config.phases.conditional.epochs = 3.0
  config.phases.modes.epochs = 1.5
  config.phases.translator.epochs = 1.0
  config.phases.regressors.epochs = 0.8
  # On one core CMM-Net's four phases take 23 minutes, CRA-Net 25, Video-GAN 14.
  config.phases.cra_net_vae.epochs = 8.0
  config.phases.cra_net.epochs = 3.4
  config.phases.video_gan.epochs = 14.0
  return config

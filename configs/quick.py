r"""The same networks, narrower and trained for minutes on two CPU cores.

  tfds build tfds_builders/virtual_smiles --config quick --data_dir data
  python -m cmm_jax.main --config=configs/quick.py
"""

import ml_collections

from configs import virtual_smiles


def get_config() -> ml_collections.ConfigDict:
  """Returns the settings of the run that `./run.sh` makes."""
  config = virtual_smiles.get_config()
  config.workdir = "runs/quick"
  config.data.name = "virtual_smiles/quick"

  config.model.vae_width = 24
  config.model.lstm_dim = 256
  config.model.translator_width = 24
  config.model.reader_width = 16

  config.phases.vae.epochs = 4.0
  config.phases.conditional.update(
    epochs=2.0, clips_per_batch=16, frames_per_clip=4
  )
  config.phases.modes.update(epochs=1.5, clips_per_batch=16, frames_per_clip=4)
  config.phases.modes_as_printed.update(
    epochs=0.75, clips_per_batch=16, frames_per_clip=4
  )
  config.phases.translator.epochs = 1.25
  config.phases.readers.update(epochs=1.0, frames_per_clip=2)
  config.compare_as_printed = True

  config.train.picture_every_steps = 200
  config.train.checkpoint_every_steps = 200
  return config

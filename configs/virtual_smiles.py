r"""CMM-Net at the paper's sizes on the rendered dataset.

python -m tfds_builders.virtual_smiles --config=full --data_dir=data
python -m cmm_jax.main --config=configs/virtual_smiles.py
"""

import ml_collections

from configs import nemo


def get_config() -> ml_collections.ConfigDict:
  """Returns the paper's settings, pointed at the rendered clips."""
  config = nemo.get_config()
  config.workdir = "runs/virtual_smiles"
  config.data.name = "virtual_smiles/full"
  return config

r"""CMM-Net on DISFA and DISFA+: spontaneous and posed smiles as one dataset.

tfds build tfds_builders/disfa --config 64x64 --data_dir data
tfds build tfds_builders/disfa_plus --config 64x64 --data_dir data
python -m cmm_jax.main --config=configs/disfa.py
"""

import ml_collections

from configs import nemo


def get_config() -> ml_collections.ConfigDict:
  """Returns the paper's settings, pointed at the pair."""
  config = nemo.get_config()
  config.workdir = "runs/disfa"
  config.data.name = "disfa/64x64+disfa_plus/64x64"
  # Some dozens of clips: (ours) smaller batches, so that an epoch has steps.
  for phase in config.phases.values():
    phase.clips_per_batch = min(phase.clips_per_batch, 8)
  return config

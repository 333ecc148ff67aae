r"""A third expression for a finished quick run, whose mode bank stays as it is.

Section 3.3: the bank is "transparent to the input label", so "one can expect a
certain generalization ability when a new facial expression is added". Here the
conditional LSTM alone learns it; VAE, bank and translator keep their weights.

python -m tfds_builders.virtual_smiles --config=quick_surprise --data_dir=data
python -m cmm_jax.main --config=configs/quick.py
python -m cmm_jax.main --config=configs/new_expression.py

To compare with, the bank trained further on the same VAE, and everything
trained on all three labels:

python -m cmm_jax.main --config=configs/new_expression.py \
  --config.workdir=runs/new_expression_bank --config.phases.modes.epochs=0.9
python -m cmm_jax.main --config=configs/quick.py \
  --config.workdir=runs/quick_surprise \
  --config.data.name=virtual_smiles/quick_surprise
"""

import ml_collections

from configs import quick


def get_config() -> ml_collections.ConfigDict:
  """Returns the quick run's settings, of which one network is trained."""
  config = quick.get_config()
  config.workdir = "runs/new_expression"
  config.data.name = "virtual_smiles/quick_surprise"
  config.init_from = "runs/quick"
  for phase in ("vae", "modes", "translator"):
    config.phases[phase].epochs = 0.0
  # The regressors measure, and have to know the expression.
  return config

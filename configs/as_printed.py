r"""Another config without what is (ours): the paper, literally.

python -m cmm_jax.main --config=configs/as_printed.py:quick

The name after the colon is that of the config whose data and sizes are used:
quick, laptop, virtual_smiles or nemo, which is the default. What the paper
leaves open stays: batches, learning rates, the L1 weight, how landmark images
are drawn, how the roll-out starts.
"""

import importlib

import ml_collections


def get_config(base: str = "nemo") -> ml_collections.ConfigDict:
  """Returns the settings of the config named `base`, changed."""
  config = importlib.import_module(f"configs.{base}").get_config()
  config.workdir = f"runs/as_printed_{base}"

  # Section 3.3: modes of their own, eq. 3 on their embeddings, and only the
  # conditional sequence is reconstructed.
  config.modes.shared_start = False
  config.modes.push_input = "embeddings"
  config.modes.reconstruction = "conditional"
  # Section 3.4: the translator makes the face, from true landmark images.
  config.model.translator_output = "image"
  config.loss.decoded_share = 0.0
  config.loss.instance_noise = 0.0
  # Sections 3.2 and 3.5, eq. 1: the plain VAE, the label as it is, no distance
  # between codes, and the sequences' BCE fine-tunes the VAE.
  config.model.label_scale = 1.0
  config.loss.kl = 1.0
  config.loss.embeddings = 0.0
  config.loss.sequences_train_decoder = True
  # No augmentation.
  config.data.mirror = False
  for name in (
    *("stretch", "shift", "parts", "color", "light", "blur", "compression"),
  ):
    config.data[name] = 0.0
  return config

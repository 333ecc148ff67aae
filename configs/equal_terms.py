r"""Another config in which all models get the same epochs at comparable widths.

python -m cmm_jax.main --config=configs/equal_terms.py:quick \
  --config.train.model=cmm_net,cra_net,video_gan

The name after the colon is that of the config whose data and sizes are used.
CRA-Net's VAE has the epochs of CMM-Net's, its second phase those of all later
phases that generate, and Video-GAN those of all of them. Video-GAN is as much
narrower than its paper's as the translator is, at its paper's learning rate;
CRA-Net shares CMM-Net's widths.

For the same time instead of the same epochs, any run of the three models tells
the epochs, at its own widths: python -m benchmarks.equal_time RUN
"""

import importlib

import ml_collections

from configs import nemo


def get_config(base: str = "quick") -> ml_collections.ConfigDict:
  """Returns the settings of the config named `base`, with equal baselines."""
  config = importlib.import_module(f"configs.{base}").get_config()
  config.workdir = f"runs/equal_terms_{base}"

  phases = config.phases
  later = sum(
    phases[name].epochs for name in ("conditional", "modes", "translator")
  )
  phases.cra_net_vae.epochs = phases.vae.epochs
  phases.cra_net.epochs = later
  phases.video_gan.epochs = phases.vae.epochs + later

  paper = nemo.get_config()
  narrower = config.model.translator_width / paper.model.translator_width
  config.model.video_gan_width = round(narrower * paper.model.video_gan_width)
  phases.video_gan.learning_rate = paper.phases.video_gan.learning_rate
  return config

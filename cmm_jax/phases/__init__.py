"""The phases of training: which networks learn what, in which order.

Each model has a file that holds its networks at the config's sizes, its phases
and how it makes smiles: `cmm_net.py` is the paper's, with its losses in the
files beside it, and the others are what the paper compares it with. A further
model is one file of networks in `models/`, one file here and its line in
`MODELS`. `phase.py` has the records that `train.py` and `generate.py` use.
"""

import functools

import ml_collections

from cmm_jax.phases import cmm_net, cra_net, video_gan
from cmm_jax.phases.cmm_net import NAMES
from cmm_jax.phases.modes import AS_PRINTED
from cmm_jax.phases.phase import AXIS, Architecture, Phase

__all__ = [
  "AS_PRINTED",
  "AXIS",
  "MODELS",
  "NAMES",
  "Architecture",
  "Phase",
  "architecture",
]

MODELS = {
  "cmm_net": cmm_net.architecture,
  "cmm_net_as_printed": functools.partial(
    cmm_net.architecture, bank="modes_as_printed"
  ),
  "video_gan": video_gan.architecture,
  "cra_net": cra_net.architecture,
}


def architecture(
  config: ml_collections.ConfigDict, num_labels: int, model: str = "cmm_net"
) -> Architecture:
  """The networks of a model at the config's sizes.

  Raises:
    ValueError: there is no such model.
  """
  if model not in MODELS:
    raise ValueError(
      f"There is no model {model!r}; choose one of {', '.join(MODELS)}."
    )
  return MODELS[model](config, num_labels)

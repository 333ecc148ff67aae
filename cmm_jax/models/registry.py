"""The phases of training: which networks learn what, in which order.

Each model has a file that holds its networks at the config's sizes, its phases
and how it makes smiles: `cmm_net.py` is the paper's, with its losses in the
files beside it, and the others are what the paper compares it with. A further
model is one file of networks in `models/`, one file here and its line in
`MODELS`. `phase.py` has the records that `train.py` and `generate.py` use.
"""

import functools

import ml_collections

from cmm_jax.models import cmm_net, cra_net, video_gan
from cmm_jax.models.base import AXIS, Architecture, Phase
from cmm_jax.models.cmm_net import NAMES
from cmm_jax.models.mode_bank import AS_PRINTED, FORMS

__all__ = [
  "AS_PRINTED",
  "AXIS",
  "FORMS",
  "MODELS",
  "NAMES",
  "Architecture",
  "Phase",
  "architecture",
  "named",
]

MODELS = {
  "cmm_net": cmm_net.architecture,
  "video_gan": video_gan.architecture,
  "cra_net": cra_net.architecture,
  **{
    f"cmm_net_{form}": functools.partial(cmm_net.architecture, form=form)
    for form in FORMS
  },
}

# All forms of the modes' losses, as one name for `config.train.model`.
_MODE_LOSSES = "mode_loss_variants"


def named(models: str) -> list[str]:
  """The models that are meant by names with commas between them, in order.

  A form of the modes' losses shares phases with CMM-Net, which comes before it.

  Raises:
    ValueError: there is no such model.
  """
  found = []
  for name in map(str.strip, models.split(",")):
    if name == _MODE_LOSSES:
      found += ["cmm_net", *(f"cmm_net_{form}" for form in FORMS)]
      continue
    if name not in MODELS:
      raise ValueError(
        f"There is no model {name!r}; choose one of {', '.join(MODELS)}, "
        f"several with commas between them, or {_MODE_LOSSES} for all forms of "
        "the modes' losses."
      )
    found += ["cmm_net", name] if name.startswith("cmm_net_") else [name]
  return list(dict.fromkeys(found))


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

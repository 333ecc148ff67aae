"""The models by name.

Each model has a file that holds its networks at the config's sizes, its phases
and its inference: `cmm_net.py` is the paper's, with the objectives of its
phases in the files beside it; `cra_net.py` and `video_gan.py` are what the
paper compares it with. A further model is a file of networks in `networks/`, a
file here and an entry in `MODELS`. A further variant of the modes' losses is an
entry in `mode_bank.VARIANTS`.
"""

import dataclasses
import functools
from collections.abc import Callable

import ml_collections

from cmm_jax.models import cmm_net, cra_net, mode_bank, video_gan
from cmm_jax.models.base import Model

# All variants of the modes' losses, as one name for `config.train.model`.
ALL_VARIANTS = "mode_loss_variants"


@dataclasses.dataclass(frozen=True)
class Entry:
  """A model that can be trained.

  Attributes:
    title: its heading in the tables.
    build: `build(config, num_labels)` returns the model.
    phases: the names of its phases' settings in `config.phases`.
    variant: the entry of `mode_bank.VARIANTS` that it is, or "".
  """

  title: str
  build: Callable[[ml_collections.ConfigDict, int], Model]
  phases: tuple[str, ...]
  variant: str = ""


MODELS = {
  "cmm_net": Entry(
    "CMM-Net",
    cmm_net.build,
    ("vae", "conditional", "modes", "translator", "regressors"),
  ),
  "cra_net": Entry("CRA-Net", cra_net.build, ("cra_net_vae", "cra_net")),
  "video_gan": Entry("Video-GAN", video_gan.build, ("video_gan",)),
  **{
    f"cmm_net_{name}": Entry(
      f"CMM-Net, {variant.title}",
      functools.partial(cmm_net.build, variant=name),
      ("modes",),
      name,
    )
    for name, variant in mode_bank.VARIANTS.items()
  },
}


def build(
  config: ml_collections.ConfigDict, num_labels: int, model: str = "cmm_net"
) -> Model:
  """Builds a model at the config's sizes.

  Raises:
    ValueError: the model's name or one of its settings is unknown.
  """
  _check_name(model)
  return MODELS[model].build(config, num_labels)


def parse_names(models: str) -> list[str]:
  """The names in a comma-separated list, in order and without repetition.

  A variant shares phases with CMM-Net, which is put before it.

  Raises:
    ValueError: a name is unknown.
  """
  names = []
  for name in map(str.strip, models.split(",")):
    if name == ALL_VARIANTS:
      names += ["cmm_net", *(n for n, e in MODELS.items() if e.variant)]
      continue
    _check_name(name)
    names += ["cmm_net", name] if MODELS[name].variant else [name]
  return list(dict.fromkeys(names))


def _check_name(name):
  if name not in MODELS:
    raise ValueError(
      f"There is no model {name!r}; choose one of {', '.join(MODELS)}, several "
      f"with commas between them, or {ALL_VARIANTS} for all variants of the "
      "modes' losses."
    )

"""The phases of training: which networks learn what, in which order.

`cmm_net.py` lists them, with their networks; the files beside it hold their
losses, and `phase.py` the record that `train.py` runs.
"""

from cmm_jax.phases.cmm_net import NAMES, Architecture, architecture, build
from cmm_jax.phases.modes import AS_PRINTED
from cmm_jax.phases.phase import AXIS, Phase

__all__ = [
  "AS_PRINTED",
  "AXIS",
  "NAMES",
  "Architecture",
  "Phase",
  "architecture",
  "build",
]

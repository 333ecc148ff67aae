"""What every setting of a config may be, checked before any work.

`SETTINGS` says it for each setting alone; `faults` also compares settings that
depend on each other. Training, and whatever reads a run or a file of weights,
check with the same table.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ml_collections
from flax import traverse_util

from cmm_jax import excerpt
from cmm_jax.data import sources
from cmm_jax.models import mode_bank, registry
from cmm_jax.networks import translator


class Rule(Protocol):
  """What a setting may be, in words after "give"."""

  def allows(self, value: Any) -> bool:
    """Whether the setting may have this value."""


@dataclasses.dataclass(frozen=True)
class Whole:
  """A whole number from `low` to `high`, both allowed."""

  low: int
  high: int

  def allows(self, value):
    return type(value) is int and self.low <= value <= self.high

  def __str__(self):
    return f"a whole number from {self.low} to {self.high}"


@dataclasses.dataclass(frozen=True)
class Number:
  """A number from `low` to `high`; `above` and `below` exclude these two."""

  low: float
  high: float
  above: bool = False
  below: bool = False

  def allows(self, value):
    if type(value) not in (int, float) or not math.isfinite(value):
      return False
    low = value > self.low if self.above else value >= self.low
    high = value < self.high if self.below else value <= self.high
    return low and high

  def __str__(self):
    low = f"above {self.low:g}" if self.above else f"from {self.low:g}"
    high = "and below" if self.below else "and at most" if self.above else "to"
    return f"a number {low} {high} {self.high:g}"


@dataclasses.dataclass(frozen=True)
class Choice:
  """One of `values`, all of the same type."""

  values: tuple[Any, ...]

  def allows(self, value):
    return type(value) is type(self.values[0]) and value in self.values

  def __str__(self):
    return f"one of {', '.join(map(str, self.values))}"


@dataclasses.dataclass(frozen=True)
class Text:
  """A text; an empty one only if `empty`."""

  empty: bool = False

  def allows(self, value):
    return isinstance(value, str) and (self.empty or bool(value.strip()))

  def __str__(self):
    return "a text" if self.empty else "a text that is not empty"


@dataclasses.dataclass(frozen=True)
class Models:
  """Names of models with commas between them."""

  def allows(self, value):
    try:
      registry.parse_names(value)
    except (ValueError, AttributeError):
      return False
    return True

  def __str__(self):
    names = ", ".join((*registry.MODELS, registry.ALL_VARIANTS))
    return f"models with commas between them, of {names}"


_BOOL = Choice((True, False))
_WIDTH = Whole(1, 4096)  # channels, or the size of a vector
_WEIGHT = Number(0, 1e6)  # of a term of a loss
_STEPS = Whole(1, 10**9)

_MOST_LISTED = 20

# What the config of an earlier version may lack, if nothing is to be trained.
_ADDED = ("train.", "loss.", "model.label_scale")

_PHASE = {
  "clips_per_batch": Whole(1, 65_536),
  "frames_per_clip": Whole(1, 1024),
  "learning_rate": Number(0, 1, above=True),
  "beta1": Number(0, 1, below=True),
}

_PHASES = tuple(
  dict.fromkeys(
    phase for entry in registry.MODELS.values() for phase in entry.phases
  )
)

# Of every setting, by its full name. Sizes are bounded so that a slip of the
# finger does not ask for more memory than there is.
SETTINGS: Mapping[str, Rule] = {
  "workdir": Text(),
  "seed": Whole(0, 2**31 - 1),
  "init_from": Text(empty=True),
  "data.name": Text(),
  "data.data_dir": Text(),
  "data.num_frames": Whole(2, 1024),
  # Smaller faces leave the patch discriminator no patch.
  "data.image_size": Choice((32, 64, 128, 256, 512, 1024)),
  "data.mirror": _BOOL,
  # Twice this deviation is the most that is drawn: 0.5 would fold a face.
  "data.stretch": Number(0, 0.4),
  "data.shift": Number(0, 32),
  "data.parts": Number(0, 1),
  "data.color": Number(0, 1),
  "data.light": Number(0, 2),
  "data.blur": Number(0, 16),
  "data.compression": Number(0, 100),
  "model.embedding_dim": _WIDTH,
  "model.landmark_image_size": Choice((8, 16, 32, 64, 128, 256, 512, 1024)),
  "model.vae_width": _WIDTH,
  "model.lstm_dim": Whole(1, 16_384),
  "model.num_modes": Whole(1, 64),
  "model.label_scale": Number(0.01, 1000),
  "model.translator_width": _WIDTH,
  "model.translator_output": Choice(translator.OUTPUTS),
  "model.regressor_width": _WIDTH,
  "model.video_gan_width": _WIDTH,
  "model.dtype": Choice(("auto", "float32", "bfloat16")),
  "modes.shared_start": _BOOL,
  "modes.push_input": Choice(mode_bank.CHOICES["push_input"]),
  "modes.reconstruction": Choice(mode_bank.CHOICES["reconstruction"]),
  "loss.kl": _WEIGHT,
  "loss.cra_net_kl": _WEIGHT,
  "loss.embeddings": _WEIGHT,
  "loss.sequences_train_decoder": _BOOL,
  "loss.pull": _WEIGHT,
  "loss.push": _WEIGHT,
  "loss.assignment_temperature": Number(0, 1e6, above=True),
  "loss.l1": _WEIGHT,
  "loss.decoded_share": Number(0, 1),
  "loss.instance_noise": Number(0, 10),
  "loss.cra_net_adversarial": _WEIGHT,
  "loss.video_gan_l1": _WEIGHT,
  **{
    f"phases.{phase}.{name}": rule
    for phase in _PHASES
    for name, rule in _PHASE.items()
  },
  # 0 keeps given weights, which CMM-Net alone can start from.
  **{
    f"phases.{phase}.epochs": Number(
      0, 1e6, above=phase not in registry.MODELS["cmm_net"].phases
    )
    for phase in _PHASES
  },
  "train.model": Models(),
  "train.placement": Choice(sources.PLACEMENTS),
  "train.profile": _BOOL,
  "train.log_every_steps": _STEPS,
  "train.picture_every_steps": _STEPS,
  "train.checkpoint_every_steps": _STEPS,
  "train.max_to_keep": Whole(1, 10**6),
}


def check(config: Mapping[str, Any] | ml_collections.ConfigDict) -> None:
  """Checks a whole config.

  Raises:
    ValueError: it cannot be used; names every fault at once.
  """
  if found := faults(config):
    raise ValueError(f"The config cannot be used:{listed(found)}")


def faults(
  config: Mapping[str, Any] | ml_collections.ConfigDict,
  *,
  for_training: bool = True,
) -> list[str]:
  """What is wrong with a config, a sentence for each fault.

  Args:
    config: the settings.
    for_training: whether it must have all settings; the config of an earlier
      version may lack those that only a training reads, and new ones.

  Returns:
    The setting's name, the value found and what it may be; sizes that do not
    suit each other only where every setting is right by itself.
  """
  if isinstance(config, ml_collections.ConfigDict):
    config = config.to_dict()
  if not isinstance(config, Mapping):
    return [f"It is a {type(config).__name__}: give the settings by name."]
  values = traverse_util.flatten_dict(
    dict(config), keep_empty_nodes=True, sep="."
  )
  found = [unknown(name) for name in values if name not in SETTINGS]
  for name, rule in SETTINGS.items():
    if name not in values:
      if not for_training and name.startswith(_ADDED):
        continue
      found.append(f"config.{name} is missing: give {rule}.")
    elif not rule.allows(values[name]):
      found.append(
        f"config.{name} is {excerpt.quote(values[name])}: give {rule}."
      )
  return found or _disagreements(values)


def unknown(name: str) -> str:
  """A sentence about a setting that does not exist, with a similar one."""
  import difflib

  similar = difflib.get_close_matches(name[:60], SETTINGS, 1)
  name = name if len(name) <= 60 else f"{name[:60]}…"
  name = name if name.isprintable() else excerpt.quote(name)
  hint = f"did you mean config.{similar[0]}?" if similar else "remove it."
  return f"There is no setting config.{name}: {hint}"


def listed(found: Sequence[str]) -> str:
  """Sentences after a colon: one in the same line, several in a line each."""
  if len(found) > _MOST_LISTED:
    rest = f"… and {len(found) - _MOST_LISTED} more."
    found = [*found[:_MOST_LISTED], rest]
  return f" {found[0]}" if len(found) == 1 else "\n  ".join(["", *found])


def _disagreements(values):
  """Sizes of which each is allowed, but not together."""
  found = []
  size, frames = values["data.image_size"], values["data.num_frames"]
  landmark_size = values["model.landmark_image_size"]
  if landmark_size > size:
    found.append(
      f"config.model.landmark_image_size is {landmark_size}: give at most "
      f"config.data.image_size, which is {size}."
    )
  models = registry.parse_names(values["train.model"])
  phases = dict.fromkeys(p for m in models for p in registry.MODELS[m].phases)
  for phase in phases:
    if not values[f"phases.{phase}.epochs"] and not values["init_from"]:
      found.append(
        f"config.phases.{phase}.epochs is 0, so its networks keep weights: "
        "give config.init_from, where these are."
      )
    name = f"phases.{phase}.frames_per_clip"
    if values[name] > frames:
      found.append(
        f"config.{name} is {values[name]}: give at most "
        f"config.data.num_frames, which is {frames}."
      )
    elif phase == "video_gan" and values[name] < frames:
      found.append(
        f"config.{name} is {values[name]}: give config.data.num_frames, which "
        f"is {frames}, for its discriminator takes whole clips."
      )
  if "video_gan" in phases and frames % (size // 4):
    found.append(
      f"config.data.num_frames is {frames}: give a multiple of {size // 4}, as "
      f"often as Video-GAN halves config.data.image_size, which is {size}."
    )
  return found

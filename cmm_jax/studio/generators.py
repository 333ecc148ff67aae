"""The generators that the page can use, loaded when they are first needed."""

import dataclasses
import functools
import pathlib
import threading
from collections.abc import Sequence

from cmm_jax import run_config, weights
from cmm_jax.inference import SmileGenerator
from cmm_jax.models import registry

_LOADED = 3  # at a time; each takes some 100 MB

# What the outputs of the translator are, for the page "Compare".
FORMS = {
  "image": "the paper's form: every pixel is new",
  "residual": "residual: a change that is added to the face",
  "motion": "motion: the face's own pixels, moved",
}


@dataclasses.dataclass(frozen=True)
class Choice:
  """A model that has been trained.

  Attributes:
    source: the folder of a run, or None for the weights in the package.
    model: its name in the registry.
    title: for people.
    form: what its translator puts out, in words, or "".
  """

  source: str | None
  model: str
  title: str
  form: str


class Generators:
  """Trained models: the weights in the package, and those of runs."""

  def __init__(self, runs: Sequence[pathlib.Path] = ()):
    """Finds what there is.

    Args:
      runs: the folders of runs, of different names; visitors see no more of
        where these lie.
    """
    self.runs = {run.name: run for run in runs}
    self._lock = threading.Lock()
    self._load = functools.lru_cache(_LOADED)(SmileGenerator)
    self.labels = weights.read_config(None)[1]

  def default(self) -> SmileGenerator:
    """The generator with the weights in the package."""
    return self.load(Choice(None, "cmm_net", "", ""))

  def load(self, choice: Choice) -> SmileGenerator:
    """A generator; takes seconds at its first use.

    Raises:
      FileNotFoundError, ValueError: as `SmileGenerator`.
    """
    with self._lock:
      return self._load(choice.source, choice.model)

  def choices(self) -> list[Choice]:
    """All models that have been trained, those of the package first."""
    config, _ = weights.read_config(None)
    form = FORMS[config.model.translator_output]
    found = [Choice(None, "cmm_net", "Weights in the package", form)]
    for name, run in self.runs.items():
      try:
        found += _trained(name, run)
      except (OSError, ValueError):
        continue  # a run of an earlier version, or one that has just begun
    return found


def find_runs(folder: pathlib.Path) -> list[pathlib.Path]:
  """The runs in a folder, by name."""
  if not folder.is_dir():
    return []
  return sorted(p for p in folder.iterdir() if (p / "config.json").is_file())


def _trained(name, run):
  """The models of a run whose phases all have checkpoints."""
  config, labels = run_config.read_config(str(run))
  for model, entry in registry.MODELS.items():
    phases = entry.build(config, len(labels)).inference_networks()
    if all((run / "checkpoints" / phase).is_dir() for phase in phases):
      has_translator = model.startswith("cmm_net")  # a variant too
      output = config.model.translator_output
      form = FORMS[output] if has_translator else ""
      yield Choice(str(run), model, f"{name}: {entry.title}", form)

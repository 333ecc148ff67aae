"""What a metric is: one column of the tables, one entry of metrics.json."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

LAST_FRAMES = slice(-8, None)  # the apex of the smile
FIRST_FRAMES = slice(0, 4)  # the face is neutral

# The tables that a metric can be a column of.
QUALITY = "quality"  # table 1
DYNAMICS = "dynamics"  # table 3
MODES = "modes"  # ours: the ablation of the modes' losses

_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
  """A measure of a model's smiles.

  Its functions get the `Measurements` of the model and of the originals. Either
  `per_clip` gives a value for each clip, whose mean is reported with a
  bootstrap interval, or `of_set` gives one number for a set of clips, which is
  reported with a jackknife interval.

  Attributes:
    name: the key in metrics.json.
    heading: the column heading, without the unit.
    tables: which tables it belongs to; it is computed for their models.
    needs: the attributes of `Measurements` that it reads. A model for which one
      of them is None has no value.
    column: whether it is a column of its tables, or only in metrics.json and in
      the report.
    unit: of the values, "" if they have none.
    better: "higher", "lower", or "" if neither is.
    digits: decimals in the tables.
    against_originals: whether it compares with the originals, which then have
      no value themselves.
    per_clip: `per_clip(model, originals)` returns [n] values, NaN for clips
      that have none.
    of_set: `of_set(model, originals, clips)` returns the value for the clips
      with these numbers, NaN if there is none.
    minimum: a lower bound of the interval of `of_set`.
  """

  name: str
  heading: str
  tables: tuple[str, ...]
  needs: tuple[str, ...]
  column: bool = True
  unit: str = ""
  better: str = ""
  digits: int = 3
  against_originals: bool = False
  per_clip: Callable[[Any, Any], Any] | None = None
  of_set: Callable[[Any, Any, Any], Any] | None = None
  minimum: float = -np.inf

  def __post_init__(self):
    if (self.per_clip is None) == (self.of_set is None):
      raise ValueError(
        f"The metric {self.name!r} needs either per_clip or of_set."
      )
    unknown = set(self.tables) - {QUALITY, DYNAMICS, MODES}
    if unknown or self.better not in _ARROWS:
      raise ValueError(
        f"The metric {self.name!r} has tables {self.tables} and better = "
        f"{self.better!r}; choose tables of {(QUALITY, DYNAMICS, MODES)} and "
        f"better of {tuple(_ARROWS)}."
      )

  @property
  def title(self) -> str:
    """The heading with the unit and an arrow to the better values."""
    unit = f", {self.unit}" if self.unit else ""
    return f"{self.heading}{unit}{_ARROWS[self.better]}"

  def applies_to(self, model: Any, originals: Any) -> bool:
    """Whether the model's measurements have what the metric needs."""
    if self.against_originals and model is originals:
      return False
    return all(getattr(model, need) is not None for need in self.needs)

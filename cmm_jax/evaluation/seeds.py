"""Trainings that differ in their seed: their mean, and paired differences."""

import collections
import csv
import dataclasses
import functools
import json
import os
import pathlib

import numpy as np
from jaxtyping import Float

_RESAMPLES = 10_000
_TAILS = 0.025, 0.975


@dataclasses.dataclass(frozen=True, eq=False)
class ClipValues:
  """A metric's values for the clips of one model and label.

  Attributes:
    names: of the clips.
    people: who is seen in each.
    values: by run and clip, NaN for clips that have none.
  """

  names: list[str]
  people: list[str]
  values: Float[np.ndarray, "runs n"]


@dataclasses.dataclass(frozen=True)
class Runs:
  """Evaluated runs of one config, one for each seed.

  Attributes:
    folders: of the runs.
  """

  folders: tuple[str, ...]

  @functools.cached_property
  def _estimates(self):
    """For each run model -> label -> metric -> estimate."""
    return [json.loads(_read(run, "metrics.json")) for run in self.folders]

  @functools.cached_property
  def _clips(self):
    """For each run (model, label) -> the rows of its clips."""
    runs = []
    for folder in self.folders:
      rows = collections.defaultdict(list)
      for row in csv.DictReader(_read(folder, "per_clip.csv").splitlines()):
        rows[row["model"], row["label"]].append(row)
      runs.append(rows)
    return runs

  @property
  def models(self) -> list[str]:
    """Those that every run has, with the originals and the static model."""
    first, *others = self._estimates
    return [m for m in first if all(m in run for run in others)]

  @property
  def labels(self) -> list[str]:
    """The kinds of smile."""
    return list(next(iter(self._estimates[0].values())))

  def values(self, model: str, label: str, metric: str) -> list[float]:
    """A metric's value in each run; [] unless all have one.

    Raises:
      FileNotFoundError: a run has not been evaluated.
    """
    found = [
      run.get(model, {}).get(label, {}).get(metric) for run in self._estimates
    ]
    return [] if None in found else [estimate["value"] for estimate in found]

  def clips(self, model: str, label: str, metric: str) -> ClipValues | None:
    """A metric's values for each clip; None for a metric of sets of clips.

    Raises:
      FileNotFoundError: a run has not been evaluated.
      ValueError: the runs were evaluated on different clips.
    """
    rows = [run[model, label] for run in self._clips]
    if metric not in rows[0][0]:
      return None
    names, people = (
      [[row[key] for row in run] for run in rows] for key in ("clip", "subject")
    )
    for folder, other in zip(self.folders, names, strict=True):
      _check_same_clips(self.folders[0], names[0], folder, other)
    values = [[float(row[metric] or "nan") for row in run] for run in rows]
    return ClipValues(names[0], people[0], np.array(values))


def _read(folder, name):
  file = pathlib.Path(folder, "evaluation", name)
  try:
    return file.read_text()
  except (FileNotFoundError, NotADirectoryError) as error:
    raise FileNotFoundError(
      f"No {os.fspath(file)}; evaluate the run first:\n"
      f"  python -m cmm_jax.evaluate --workdir={folder}"
    ) from error


def _check_same_clips(folder, names, other_folder, other_names):
  if names != other_names:
    raise ValueError(
      f"{folder} and {other_folder} were evaluated on different clips; compare "
      "runs on one dataset."
    )


@dataclasses.dataclass(frozen=True)
class Difference:
  """A difference of means, paired by seed and by clip.

  Attributes:
    mean: over seeds and clips.
    interval: of 95 %, or None for a metric of sets of clips.
    per_seed: the difference with each seed.
  """

  mean: float
  interval: tuple[float, float] | None
  per_seed: list[float]

  @property
  def has_one_sign(self) -> bool:
    """Whether all seeds and both ends of the interval have the same sign."""
    signs = {*np.sign(self.per_seed), *np.sign(self.interval or ())}
    return len(signs) == 1 and 0 not in signs


def difference(
  runs: Runs, model: str, other_runs: Runs, other: str, label: str, metric: str
) -> Difference | None:
  """How much larger a metric is than that of another model or of other runs.

  The interval is a percentile bootstrap over seeds and over people with all
  their clips, for takes of one person are not independent. Two or three seeds
  cannot tell their own spread, hence `Difference.has_one_sign`.

  Args:
    runs, model: the first term.
    other_runs, other: what is subtracted, run by run.
    label: the kind of smile.
    metric: its name.

  Returns:
    None if a run has no such value, or no clip has one on both sides.

  Raises:
    FileNotFoundError: a run has not been evaluated.
    ValueError: the runs are not as many, or of different clips.
  """
  if len(runs.folders) != len(other_runs.folders):
    raise ValueError(
      f"{len(runs.folders)} runs cannot be paired with "
      f"{len(other_runs.folders)}; name as many, in the order of their seeds."
    )
  first = runs.values(model, label, metric)
  second = other_runs.values(other, label, metric)
  if not first or not second:
    return None
  ours = runs.clips(model, label, metric)
  theirs = other_runs.clips(other, label, metric)
  if ours is None or theirs is None:
    per_seed = np.subtract(first, second)
    return Difference(float(per_seed.mean()), None, per_seed.tolist())
  _check_same_clips(
    runs.folders[0], ours.names, other_runs.folders[0], theirs.names
  )
  values = ours.values - theirs.values
  if np.isnan(values).all(axis=1).any():
    return None
  per_seed = np.nanmean(values, axis=1)
  return Difference(
    float(np.nanmean(values)),
    _interval(values, ours.people),
    per_seed.tolist(),
  )


def _interval(values, people):
  """Of the mean of `values` [runs n]; NaN are left out."""
  present = ~np.isnan(values)
  is_persons = np.unique(people)[:, None] == np.array(people)  # [p n]
  sums = np.where(present, values, 0) @ is_persons.T  # [runs p]
  counts = present.astype(float) @ is_persons.T
  random = np.random.default_rng(0)
  # How often each run and each person is drawn in each resample.
  draws = [
    random.multinomial(n, np.full(n, 1 / n), _RESAMPLES) for n in sums.shape
  ]
  total, number = (
    np.einsum("xr,rp,xp->x", draws[0], table, draws[1])
    for table in (sums, counts)
  )
  has_clips = number > 0
  low, high = np.quantile(total[has_clips] / number[has_clips], _TAILS)
  return float(low), float(high)

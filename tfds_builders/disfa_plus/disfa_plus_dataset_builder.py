"""DISFA+: the posed smiles of nine people.

tfds build tfds_builders/disfa_plus --config 64x64 --data_dir data
"""

import dataclasses
import fnmatch
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import action_units, clip
from tfds_builders import face_clips

FRAMES_PER_SECOND = 20.0


@dataclasses.dataclass
class DisfaPlusConfig(face_clips.VideoConfig):
  """As any dataset of videos, and which trials are smiles.

  Attributes:
    trials: a pattern of the trials' names, upper or lower case.
    by_rule: whether trials are chosen by their labels instead: AU12 from 0 to
      at least 2, with AU06.
  """

  trials: str = "*Happy*"
  by_rule: bool = False


class Builder(face_clips.VideoBuilder):
  """One example per trial that is a smile."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Ask the University of Denver for the data (see README.md), then lay it out in
  manual_dir (<data_dir>/downloads/manual unless --manual_dir names another):
    DISFAPlus/Images/SN001/<trial>/000.jpg and so on
    DISFAPlus/Labels/SN001/<trial>/AU6.txt, AU12.txt
  """
  BUILDER_CONFIGS = face_clips.sizes(DisfaPlusConfig)
  SEGMENTS = "disfa_plus_segments.csv"

  def _sources(self, manual_dir: epath.Path):
    face_clips.refuse_openface(self.builder_config)
    trials, labels = _trials(manual_dir), _labels(manual_dir)
    if not trials or not labels:
      what = "images" if labels else "labels"
      raise FileNotFoundError(
        f"No {what} in {str(manual_dir)!r} lie as in 'Images/SN001/<trial>/"
        "000.jpg' and 'Labels/SN001/<trial>/AU12.txt'; lay DISFA+ out as "
        "tfds_builders/disfa_plus/README.md shows."
      )
    chosen = [one for one in trials if self._is_smile(one, labels)]
    if not chosen:
      rule = (
        "AU12 and AU06"
        if self.builder_config.by_rule
        else repr(self.builder_config.trials)
      )
      raise ValueError(
        f"None of the {len(trials)} trials is a smile by {rule}; there are "
        f"{', '.join(sorted({trial for _, trial in trials})[:5])} and others: "
        "give another pattern (trials), or choose by_rule."
      )
    keys = {one: f"disfa_plus_{one[0]}_{one[1].lower()}" for one in chosen}
    parts = self._segments(manual_dir, list(keys.values()))
    splits = self._split_by_lot(list(keys.values()))
    missing = manual_dir / "DISFAPlus" / "Labels"
    sources = [
      clip.Source(
        key=key,
        path=trials[one],
        label="posed",
        subject=one[0],
        frames_per_second=FRAMES_PER_SECOND,
        units=action_units.DisfaPlusLabels(
          tuple(
            labels.get(
              (*_lower(one), unit),
              missing / one[0] / one[1] / f"AU{unit}.txt",
            )
            for unit in ("6", "12")
          )
        ),
        cuts=parts.get(key),
      )
      for one, key in sorted(keys.items())
    ]
    return {
      split: [source for source in sources if source.key in names]
      for split, names in splits.items()
    }

  def _is_smile(self, one, labels):
    if not self.builder_config.by_rule:
      pattern = self.builder_config.trials.lower()
      return fnmatch.fnmatchcase(one[1].lower(), pattern)
    files = [labels.get((*_lower(one), unit)) for unit in ("6", "12")]
    try:
      au06, au12 = (
        action_units.read_disfa_plus(file) for file in files if file
      )
    except ValueError:
      return True  # labels are missing or broken: the preparation says so
    rises = au12[min(au12)] == 0 and max(au12.values()) >= 2
    return rises and max(au06.values()) >= 1


def _trials(manual_dir):
  """(subject, trial) -> the folder of its images."""
  found = {}
  for path in _below(manual_dir, "images"):
    if path.suffix.lower() == ".jpg" and (subject := _subject(path)):
      trial = path.parent
      other = found.setdefault((subject, trial.name), trial)
      if other != trial:
        raise ValueError(
          f"The trial {trial.name!r} of {subject} is there twice: "
          f"{str(other)!r} and {str(trial)!r}; keep one."
        )
  return found


def _labels(manual_dir):
  """(subject, trial, unit), in lower case -> its file."""
  found = {}
  for path in _below(manual_dir, "labels"):
    match = re.fullmatch(r"AU0?(6|12)\.txt", path.name, re.I)
    if match and (subject := _subject(path)):
      key = (*_lower((subject, path.parent.name)), match[1])
      other = found.setdefault(key, path)
      if other != path:
        raise ValueError(
          f"The labels {path.name!r} of {path.parent.name!r} are there twice: "
          f"{str(other)!r} and {str(path)!r}; keep one."
        )
  return found


def _below(folder, name):
  """The files in the folders of that name, however deep these lie."""
  for path in sorted(folder.iterdir()):
    if path.is_dir() and not path.name.startswith("."):
      if path.name.lower() == name:
        yield from face_clips.files_below(path)
      else:
        yield from _below(path, name)


def _subject(path):
  """SN001, from whichever folder is called so; unzipping can double it."""
  for part in path.parts[::-1][2:]:
    if re.fullmatch(r"SN\d{3}", part, re.I):
      return part.upper()
  return None


def _lower(one):
  return tuple(part.lower() for part in one)

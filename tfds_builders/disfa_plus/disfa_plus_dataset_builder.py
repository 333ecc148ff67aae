"""DISFA+: the posed smiles of nine people.

tfds build tfds_builders/disfa_plus --config 64x64 --data_dir data
"""

import dataclasses
import fnmatch
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import clip, disfa
from tfds_builders import manual_dir, video_builder, video_config

FRAMES_PER_SECOND = 20.0


@dataclasses.dataclass
class DisfaPlusConfig(video_config.VideoConfig):
  """The config of any dataset of videos, and which trials are smiles.

  Attributes:
    trials: a pattern for the names of trials, case-insensitive.
    by_labels: whether to select trials by their labels instead: AU12 rises from
      0 to at least 2, with AU06.
  """

  trials: str = "*Happy*"
  by_labels: bool = False


class Builder(video_builder.VideoBuilder):
  """One example per trial that is a smile."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Request the data from the University of Denver (see README.md) and copy it to
  manual_dir (<data_dir>/downloads/manual by default, see --manual_dir):
    DISFAPlus/Images/SN001/<trial>/000.jpg ...
    DISFAPlus/Labels/SN001/<trial>/AU6.txt, AU12.txt
  """
  BUILDER_CONFIGS = video_config.standard_configs(DisfaPlusConfig)

  def find_videos(self, folder: epath.Path):
    video_config.reject_openface(self.builder_config)
    trials, labels = _find_trials(folder), _find_labels(folder)
    if not trials or not labels:
      missing = "images" if labels else "labels"
      raise FileNotFoundError(
        f"No {missing} in {str(folder)!r}, expected 'Images/SN001/<trial>/"
        "000.jpg' and 'Labels/SN001/<trial>/AU12.txt'; lay DISFA+ out as in "
        "tfds_builders/disfa_plus/README.md."
      )
    smiles = [trial for trial in trials if self._is_smile(trial, labels)]
    if not smiles:
      criterion = (
        "its labels"
        if self.builder_config.by_labels
        else repr(self.builder_config.trials)
      )
      raise ValueError(
        f"None of the {len(trials)} trials is a smile by {criterion}; there "
        f"are {', '.join(sorted({name for _, name in trials})[:5])}. "
        "Give another pattern (trials), or select by_labels."
      )
    keys = {
      (subject, name): f"disfa_plus_{subject}_{name.lower()}"
      for subject, name in smiles
    }
    segments = manual_dir.read_segments(
      manual_dir.find_child(folder, "disfa_plus_segments.csv"), keys.values()
    )
    expected = folder / "DISFAPlus" / "Labels"
    videos = [
      clip.SourceVideo(
        key=key,
        path=trials[subject, name],
        label="posed",
        subject=subject,
        frames_per_second=FRAMES_PER_SECOND,
        action_units=disfa.DisfaPlusLabels(
          tuple(
            labels.get(
              (*_lower((subject, name)), au),
              expected / subject / name / f"AU{au}.txt",
            )
            for au in ("6", "12")
          )
        ),
        segments=segments.get(key),
      )
      for (subject, name), key in sorted(keys.items())
    ]
    return {
      split: [video for video in videos if video.key in names]
      for split, names in self.random_split(list(keys.values())).items()
    }

  def _is_smile(self, trial, labels):
    if not self.builder_config.by_labels:
      pattern = self.builder_config.trials.lower()
      return fnmatch.fnmatchcase(trial[1].lower(), pattern)
    files = [labels.get((*_lower(trial), au)) for au in ("6", "12")]
    try:
      au06, au12 = (disfa.read_disfa_plus(file) for file in files if file)
    except ValueError:
      return True  # labels are missing or damaged: preprocessing reports it
    rises = au12[min(au12)] == 0 and max(au12.values()) >= 2
    return rises and max(au06.values()) >= 1


def _find_trials(folder):
  """(subject, trial) -> the folder of its images."""
  trials = {}
  for path in _files_in(folder, "images"):
    if path.suffix.lower() == ".jpg" and (subject := _subject(path)):
      trial = path.parent
      manual_dir.add_unique(trials, (subject, trial.name), trial)
  return trials


def _find_labels(folder):
  """(subject, trial, action unit), in lower case -> its file."""
  labels = {}
  for path in _files_in(folder, "labels"):
    match = re.fullmatch(r"AU0?(6|12)\.txt", path.name, re.I)
    if match and (subject := _subject(path)):
      key = (*_lower((subject, path.parent.name)), match[1])
      manual_dir.add_unique(labels, key, path)
  return labels


def _files_in(folder, name):
  """The files below all folders of this name, at any depth."""
  for path in sorted(folder.iterdir()):
    if path.is_dir() and not path.name.startswith("."):
      if path.name.lower() == name:
        yield from manual_dir.list_files(path)
      else:
        yield from _files_in(path, name)


def _subject(path):
  """The subject, SN001 for example, from the folder of that name.

  Unzipping can duplicate levels of folders.
  """
  for part in path.parts[::-1][2:]:
    if re.fullmatch(r"SN\d{3}", part, re.I):
      return part.upper()
  return None


def _lower(names):
  return tuple(name.lower() for name in names)

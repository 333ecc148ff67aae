"""DISFA: the spontaneous smiles of 27 people who watch a video.

tfds build tfds_builders/disfa --config 64x64 --data_dir data
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import action_units, clip, segment
from tfds_builders import face_clips

FRAMES_PER_SECOND = 20.0

_VIDEO = re.compile(
  r"(left|right)_?video_?(SN\d{3})_comp\.(avi|mp4|mov|mkv|mpg)", re.I
)
_LANDMARKS = re.compile(r"(?:(SN\d{3})_(\d{4})|l(\d{5}))_lm\.mat", re.I)
_LABELS = re.compile(r"(SN\d{3})_au0?(6|12)\.txt", re.I)


@dataclasses.dataclass
class DisfaConfig(face_clips.VideoConfig):
  """As any dataset of videos, and its cameras.

  Attributes:
    camera: "left" or "right".
  """

  camera: str = "left"


class Builder(face_clips.VideoBuilder):
  """One example per smile in which AU06 and AU12 rise together."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Ask the University of Denver for the data (see README.md), then lay it out in
  manual_dir (<data_dir>/downloads/manual unless --manual_dir names another):
    DISFA/Videos_LeftCamera/LeftVideoSN001_comp.avi and so on
    DISFA/ActionUnit_Labels/SN001/SN001_au6.txt, SN001_au12.txt and so on
  """
  BUILDER_CONFIGS = face_clips.sizes(DisfaConfig)
  SEGMENTS = "disfa_segments.csv"
  THRESHOLDS = {"smile": 1.5, "cheeks": 0.75}

  def _sources(self, manual_dir: epath.Path):
    camera = self.builder_config.camera
    if camera not in ("left", "right"):
      raise ValueError(f"No camera {camera!r}; choose left or right.")
    face_clips.refuse_openface(self.builder_config)
    videos, labels = {}, {}
    for file in _files(manual_dir):
      if match := _VIDEO.fullmatch(file.name):
        if match[1].lower() == camera:
          _put(videos, match[2].upper(), file)
      elif match := _LABELS.fullmatch(file.name):
        _put(labels, (match[1].upper(), match[2]), file)
    if not videos:
      raise FileNotFoundError(
        f"No video in {str(manual_dir)!r} is called like "
        f"'{camera.title()}VideoSN001_comp.avi'; lay DISFA out as "
        "tfds_builders/disfa/README.md shows."
      )
    if not labels:
      raise FileNotFoundError(
        f"No labels in {str(manual_dir)!r} are called like 'SN001_au12.txt'; "
        "lay DISFA out as tfds_builders/disfa/README.md shows."
      )
    parts = self._segments(manual_dir, list(videos), "subject")
    if parts:  # somebody chose the smiles: only these
      videos = {name: file for name, file in videos.items() if name in parts}
    missing = manual_dir / "DISFA" / "ActionUnit_Labels"
    given = _given_landmarks(manual_dir)
    smiles, others = {}, []
    for subject, file in sorted(videos.items()):
      paths = [
        labels.get(
          (subject, unit), missing / subject / f"{subject}_au{unit}.txt"
        )
        for unit in ("6", "12")
      ]
      source = clip.Source(
        key=f"disfa_{subject}",
        path=file,
        label="spontaneous",
        subject=subject,
        units=action_units.DisfaLabels(tuple(paths)),
        given=given.get(subject),
      )
      try:
        cuts = parts.get(subject) or self._cuts(source)
      except (ValueError, FileNotFoundError):
        others.append(source)  # the preparation says what is wrong with it
        continue
      for start, end in cuts:
        key = f"{source.key}_{start:05d}"
        smiles[key] = dataclasses.replace(source, key=key, cuts=((start, end),))
    splits = {
      split: [smiles[key] for key in sorted(keys)]
      for split, keys in self._split_by_lot(list(smiles)).items()
    }
    splits["train"] += others
    return splits

  def _cuts(self, source):
    """The smiles by the labels alone, so that they can be split by lot."""
    found = segment.find(
      source.units.labels(),
      1 / FRAMES_PER_SECOND,
      self._settings().thresholds,
    )
    return [(cut.start, cut.end) for cut in found]


def _put(found, key, file):
  other = found.setdefault(key, file)
  if other != file:
    raise ValueError(
      f"{file.name!r} is there twice, {str(other)!r} and {str(file)!r}: keep "
      "one."
    )


def _files(folder):
  """The files below, without the 130,000 of the landmarks."""
  found = []
  for path in sorted(folder.iterdir()):
    if path.name.startswith((".", "__MACOSX")) or _is_landmarks(path):
      continue
    found += _files(path) if path.is_dir() else [path]
  return found


def _given_landmarks(folder):
  """Subject -> DISFA's own landmarks, where they are there.

  SN001_0000_lm.mat is the first frame, and so is l00001_lm.mat.
  """
  found = {}
  for path in sorted(folder.iterdir()):
    if path.is_dir() and not path.name.startswith("."):
      if not _is_landmarks(path):
        found |= _given_landmarks(path)
        continue
      for file in face_clips.files_below(path):
        match = _LANDMARKS.fullmatch(file.name)
        subject = re.search(r"SN\d{3}", str(file.relative_to(path)), re.I)
        if match and subject:
          number = int(match[2]) if match[1] else int(match[3]) - 1
          found.setdefault(subject[0].upper(), {})[number] = file
      found = {key: clip.GivenLandmarks(files) for key, files in found.items()}
  return found


def _is_landmarks(path):
  return re.match("landmark", path.name, re.I)

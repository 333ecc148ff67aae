"""DISFA: the spontaneous smiles of 27 people watching a video.

tfds build tfds_builders/disfa --config 64x64 --data_dir data
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import clip, disfa, segment
from tfds_builders import manual_dir, video_builder, video_config

FRAMES_PER_SECOND = 20.0

_VIDEO = re.compile(
  r"(left|right)_?video_?(SN\d{3})_comp\.(avi|mp4|mov|mkv|mpg)", re.I
)
_LANDMARKS = re.compile(r"(?:(SN\d{3})_(\d{4})|l(\d{5}))_lm\.mat", re.I)
_LABELS = re.compile(r"(SN\d{3})_au0?(6|12)\.txt", re.I)


@dataclasses.dataclass
class DisfaConfig(video_config.VideoConfig):
  """The config of any dataset of videos, and the camera.

  Attributes:
    camera: "left" or "right".
  """

  camera: str = "left"


class Builder(video_builder.VideoBuilder):
  """One example per smile in which AU06 and AU12 rise together."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Request the data from the University of Denver (see README.md) and copy it to
  manual_dir (<data_dir>/downloads/manual by default, see --manual_dir):
    DISFA/Videos_LeftCamera/LeftVideoSN001_comp.avi ...
    DISFA/ActionUnit_Labels/SN001/SN001_au6.txt, SN001_au12.txt ...
  """
  BUILDER_CONFIGS = video_config.standard_configs(DisfaConfig)
  THRESHOLDS = {"min_au12_rise": 1.5, "min_au06_rise": 0.75}

  def find_videos(self, folder: epath.Path):
    video_config.reject_openface(self.builder_config)
    files, labels = self._find_files(folder)
    segments = manual_dir.read_segments(
      manual_dir.find_child(folder, "disfa_segments.csv"), files, "subject"
    )
    if segments:  # then only these are used
      files = {name: file for name, file in files.items() if name in segments}
    expected = folder / "DISFA" / "ActionUnit_Labels"
    landmarks = _find_landmarks(folder)
    smiles, unusable = {}, []
    for subject, file in sorted(files.items()):
      label_files = [
        labels.get((subject, au), expected / subject / f"{subject}_au{au}.txt")
        for au in ("6", "12")
      ]
      video = clip.SourceVideo(
        key=f"disfa_{subject}",
        path=file,
        label="spontaneous",
        subject=subject,
        action_units=disfa.DisfaLabels(tuple(label_files)),
        reference_landmarks=landmarks.get(subject),
      )
      try:
        found = segments.get(subject) or self._find_smiles(video)
      except (ValueError, FileNotFoundError):
        unusable.append(video)  # preprocessing reports why
        continue
      for start, end in found:
        key = f"{video.key}_{start:05d}"
        smiles[key] = dataclasses.replace(
          video, key=key, segments=((start, end),)
        )
    splits = {
      split: [smiles[key] for key in sorted(keys)]
      for split, keys in self.random_split(list(smiles)).items()
    }
    splits["train"] += unusable
    return splits

  def _find_files(self, folder):
    """Subject -> video, and (subject, action unit) -> label file."""
    camera = self.builder_config.camera
    if camera not in ("left", "right"):
      raise ValueError(f"No camera {camera!r}; choose left or right.")
    videos, labels = {}, {}
    for file in _list_files(folder):
      if match := _VIDEO.fullmatch(file.name):
        if match[1].lower() == camera:
          manual_dir.add_unique(videos, match[2].upper(), file)
      elif match := _LABELS.fullmatch(file.name):
        manual_dir.add_unique(labels, (match[1].upper(), match[2]), file)
    for files, example in (
      (videos, f"{camera.title()}VideoSN001_comp.avi"),
      (labels, "SN001_au12.txt"),
    ):
      if not files:
        raise FileNotFoundError(
          f"No file in {str(folder)!r} has a name like {example!r}; lay DISFA "
          "out as in tfds_builders/disfa/README.md."
        )
    return videos, labels

  def _find_smiles(self, video):
    """The segments of the smiles, by the labels alone, to split them."""
    smiles = segment.find_smiles(
      video.action_units.labels(),
      1 / FRAMES_PER_SECOND,
      self.settings().thresholds,
    )
    return [(smile.start, smile.end) for smile in smiles]


def _list_files(folder):
  """The files below a folder, except the 130,000 of the landmarks."""
  files = []
  for path in sorted(folder.iterdir()):
    if manual_dir.is_ignored(path) or _is_landmarks(path):
      continue
    files += _list_files(path) if path.is_dir() else [path]
  return files


def _find_landmarks(folder):
  """Subject -> DISFA's own landmarks, if there are any.

  SN001_0000_lm.mat belongs to the first frame, as does l00001_lm.mat.
  """
  landmarks = {}
  for path in sorted(folder.iterdir()):
    if not path.is_dir() or path.name.startswith("."):
      continue
    if not _is_landmarks(path):
      landmarks |= _find_landmarks(path)
      continue
    files = {}
    for file in manual_dir.list_files(path):
      match = _LANDMARKS.fullmatch(file.name)
      subject = re.search(r"SN\d{3}", str(file.relative_to(path)), re.I)
      if match and subject:
        number = int(match[2]) if match[1] else int(match[3]) - 1
        files.setdefault(subject[0].upper(), {})[number] = file
    landmarks |= {
      subject: disfa.DisfaLandmarks(numbered)
      for subject, numbered in files.items()
    }
  return landmarks


def _is_landmarks(path):
  return re.match("landmark", path.name, re.I)

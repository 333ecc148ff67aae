"""UvA-NEMO Smile: posed and spontaneous smiles of 400 people.

tfds build tfds_builders/uva_nemo --config 64x64 --data_dir data
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax import excerpt
from cmm_jax.preprocess import clip, table
from tfds_builders import manual_dir, video_builder, video_config

# The subjects of the tenth fold, the paper's test split: 41 with 125 videos.
FOLD_10 = frozenset(
  f"{number:03d}"
  for number in (
    *(4, 71, 93, 105, 112, 116, 133, 141, 148, 155, 162, 166, 172, 174),
    *(176, 201, 205, 213, 215, 225, 263, 265, 270, 304, 336, 343, 400, 414),
    *(418, 445, 447, 450, 456, 483, 492, 502, 505, 510, 525, 536, 553),
  )
)

_VIDEO = re.compile(r"(\d{3})_(deliberate|spontaneous)_smile_(\d+)\.mp4", re.I)
_LABELS = {"deliberate": "posed", "spontaneous": "spontaneous"}


@dataclasses.dataclass
class UvaNemoConfig(video_config.VideoConfig):
  """The config of any dataset of videos, and the folds.

  Attributes:
    test_fold: which of the ten folds is the test split.
    folds: a CSV with the columns `subject,fold`; by default `folds.csv` in
      manual_dir, if it exists. Fold 10 does not need it.
  """

  test_fold: int = 10
  folds: str = ""


class Builder(video_builder.VideoBuilder):
  """One example per video: its neutral-to-smile segment."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Request the data from the University of Amsterdam (see README.md) and copy it
  to manual_dir (<data_dir>/downloads/manual by default, see --manual_dir):
    UvA-NEMO_SMILE_DATABASE/videos/001_deliberate_smile_2.mp4 ...
    UvA-NEMO_SMILE_DATABASE/UvA-NEMO_Smile_Database_File_Details.txt
    openface/001_deliberate_smile_2.csv ...   if you ran OpenFace
  """
  BUILDER_CONFIGS = video_config.standard_configs(UvaNemoConfig)

  def find_videos(self, folder: epath.Path):
    files = manual_dir.list_files(folder)
    paths = {}
    for file in files:
      if _VIDEO.fullmatch(file.name):
        manual_dir.add_unique(paths, file.stem.lower(), file)
    if not paths:
      raise FileNotFoundError(
        f"No video in {str(folder)!r} has a name like "
        "'001_deliberate_smile_2.mp4'; lay UvA-NEMO out as in tfds_builders/"
        "uva_nemo/README.md."
      )
    video_folder = next(iter(paths.values())).parent
    for name in _read_file_details(files):
      # If the file is missing, preprocessing reports it.
      paths.setdefault(epath.Path(name).stem.lower(), video_folder / name)

    tables = self.openface_tables(folder, {key: key for key in paths})
    segments = manual_dir.read_segments(
      manual_dir.find_child(folder, "uva_nemo_segments.csv"), paths
    )
    test_subjects = self._test_subjects(folder, {key[:3] for key in paths})
    splits = {"train": [], "test": []}
    for key, path in sorted(paths.items()):
      subject, kind, _ = _VIDEO.fullmatch(path.name).groups()
      video = clip.SourceVideo(
        key=key,
        path=path,
        label=_LABELS[kind.lower()],
        subject=subject,
        action_units=tables.get(key),
        segments=segments.get(key),
      )
      splits["test" if subject in test_subjects else "train"].append(video)
    return splits

  def _test_subjects(self, folder, subjects):
    config = self.builder_config
    file = manual_dir.find_child(folder, "folds.csv")
    if config.folds:
      file = epath.Path(config.folds)
    if not config.folds and not file.exists():
      if config.test_fold != 10:
        raise FileNotFoundError(
          "Only the tenth of the ten folds is public. For test_fold = "
          f"{config.test_fold}, save the protocol's folds as {str(file)!r}, "
          "with the columns subject,fold."
        )
      return FOLD_10
    rows = table.read(file, ("subject", "fold"))
    folds = {row["subject"].zfill(3): row["fold"] for _, row in rows}
    missing = sorted(subjects - folds.keys())
    if missing:
      raise ValueError(
        f"{str(file)!r} has no fold for subject {missing[0]} and "
        f"{len(missing) - 1} more of the {len(subjects)} who have videos."
      )
    test_fold = str(config.test_fold)
    if test_fold not in folds.values():
      raise ValueError(
        f"{str(file)!r} has no fold {test_fold}; it has "
        f"{', '.join(sorted(set(folds.values())))}."
      )
    return {subject for subject, fold in folds.items() if fold == test_fold}


def _read_file_details(files):
  """The names of the videos in the file details.

  Raises:
    ValueError: the details of a video do not agree with its name.
  """
  for file in files:
    if not re.search(r"file_?details\.txt$", file.name, re.I):
      continue
    lines = file.read_bytes().decode("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
      fields = [field.strip() for field in line.rstrip().split("\t")]
      name = fields[0]
      if not name.lower().endswith(".mp4"):
        continue  # the header has four or five lines
      match = _VIDEO.fullmatch(name)
      agrees = (
        match
        and len(fields) > 2
        and fields[1].zfill(3) == match[1]
        and fields[-1].lower() == match[2].lower()
      )
      if not agrees:
        raise ValueError(
          f"Line {number} of {str(file)!r} is {excerpt.quote(line)}, which "
          "does not agree with the name of the video (subject, deliberate or "
          "spontaneous): copy the file again."
        )
      yield name

"""UvA-NEMO Smile: posed and spontaneous smiles of 400 people.

tfds build tfds_builders/uva_nemo --config 64x64 --data_dir data
"""

import dataclasses
import re

import tensorflow_datasets as tfds
from etils import epath

from cmm_jax.preprocess import clip, table
from tfds_builders import face_clips

# The paper's test fold, of ten: 41 subjects with 125 videos.
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
class UvaNemoConfig(face_clips.VideoConfig):
  """As any dataset of videos, and its folds.

  Attributes:
    test_fold: which of the ten folds is the test split.
    folds: a CSV with the columns `subject,fold`; where not given, `folds.csv`
      in manual_dir if that exists. Fold 10 is known without.
  """

  test_fold: int = 10
  folds: str = ""


class Builder(face_clips.VideoBuilder):
  """One example per video: the part from the neutral face to the smile."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  Ask the University of Amsterdam for the data (see README.md), then lay it out
  in manual_dir (<data_dir>/downloads/manual unless --manual_dir names another):
    UvA-NEMO_SMILE_DATABASE/videos/001_deliberate_smile_2.mp4 and so on
    UvA-NEMO_SMILE_DATABASE/UvA-NEMO_Smile_Database_File_Details.txt
    openface/001_deliberate_smile_2.csv and so on, if you ran OpenFace
  """
  BUILDER_CONFIGS = face_clips.sizes(UvaNemoConfig)
  SEGMENTS = "uva_nemo_segments.csv"

  def _sources(self, manual_dir: epath.Path):
    files = face_clips.files_below(manual_dir)
    videos = {}
    for file in files:
      if _VIDEO.fullmatch(file.name):
        other = videos.setdefault(file.stem.lower(), file)
        if other != file:
          raise ValueError(
            f"The video {file.name!r} is there twice: {str(other)!r} and "
            f"{str(file)!r}; keep one."
          )
    if not videos:
      raise FileNotFoundError(
        f"No video in {str(manual_dir)!r} is called like "
        "'001_deliberate_smile_2.mp4'; lay UvA-NEMO out as tfds_builders/"
        "uva_nemo/README.md shows."
      )
    folder = next(iter(videos.values())).parent
    for name in _listed(files):
      # Listed, but not there: the preparation says so at its end.
      videos.setdefault(epath.Path(name).stem.lower(), folder / name)

    tables = self._openface(manual_dir, {key: key for key in videos})
    parts = self._segments(manual_dir, list(videos))
    test = self._test_subjects(manual_dir, {key[:3] for key in videos})
    splits = {"train": [], "test": []}
    for key, file in sorted(videos.items()):
      subject, word, _ = _VIDEO.fullmatch(file.name).groups()
      source = clip.Source(
        key=key,
        path=file,
        label=_LABELS[word.lower()],
        subject=subject,
        units=tables.get(key),
        cuts=parts.get(key),
      )
      splits["test" if subject in test else "train"].append(source)
    return splits

  def _test_subjects(self, manual_dir, subjects):
    config = self.builder_config
    file = epath.Path(config.folds or face_clips.child(manual_dir, "folds.csv"))
    if not config.folds and not file.exists():
      if config.test_fold != 10:
        raise FileNotFoundError(
          f"Of the ten folds only the tenth is known here; for test_fold = "
          f"{config.test_fold} put the protocol's as {str(file)!r}, with the "
          "columns subject,fold."
        )
      return FOLD_10
    rows = table.read(file, ("subject", "fold"))
    folds = {row["subject"].zfill(3): row["fold"] for _, row in rows}
    without = sorted(subjects - folds.keys())
    if without:
      raise ValueError(
        f"{str(file)!r} gives no fold to subject {without[0]} and "
        f"{len(without) - 1} more of the {len(subjects)} that have videos."
      )
    wanted = str(config.test_fold)
    if wanted not in folds.values():
      raise ValueError(
        f"{str(file)!r} has no fold {wanted}; it has "
        f"{', '.join(sorted(set(folds.values())))}."
      )
    return {subject for subject, fold in folds.items() if fold == wanted}


def _listed(files):
  """The videos in the file details; they have to agree with their names."""
  for file in files:
    if not re.search(r"file_?details\.txt$", file.name, re.I):
      continue
    lines = file.read_bytes().decode("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
      fields = [field.strip() for field in line.rstrip().split("\t")]
      name = fields[0]
      if not name.lower().endswith(".mp4"):
        continue  # a header; there are four or five lines of it
      match = _VIDEO.fullmatch(name)
      agrees = (
        match
        and len(fields) > 2
        and fields[1].zfill(3) == match[1]
        and fields[-1].lower() == match[2].lower()
      )
      if not agrees:
        raise ValueError(
          f"Line {number} of {str(file)!r} says {line!r}, which does not agree "
          "with the video's name (subject, deliberate or spontaneous): copy it "
          "again."
        )
      yield name

"""Tables and labels to damage."""

import pathlib

import numpy as np

from faults.kind import Kind


def _video_of(num_frames):
  from cmm_jax.preprocess import decode

  return decode.Video(pathlib.Path("video.mp4"), np.arange(num_frames) / 25)


def _write_openface(folder):
  names = "frame, timestamp, confidence, success, AU06_r, AU12_r, AU06_c"
  rows = [f"{i + 1}, {i / 25}, 0.98, 1, {i / 9:.2f}, 2.5, 1" for i in range(30)]
  (folder / "new.csv").write_text("\n".join([names, *rows]) + "\n")
  rows = [row.replace(", 0.98, 1", ", 0.02, 0") for row in rows]
  (folder / "lost.csv").write_text("\n".join([names, *rows]) + "\n")


def _read_openface(path):
  from etils import epath

  from cmm_jax.preprocess import action_units

  units = action_units.OpenFaceTable(epath.Path(path)).read(_video_of(30))
  assert units.shape == (30, 2)
  action_units.interpolate_gaps(units, 1 / 25, source=str(path))


def _write_disfa(folder):
  lines = [f"{i + 1},{i % 6}" for i in range(40)]
  (folder / "labels.txt").write_text("\n".join(lines) + "\n")


def _read_disfa(path):
  from etils import epath

  from cmm_jax.preprocess import disfa

  units = disfa.DisfaLabels((epath.Path(path),) * 2).read(_video_of(40))
  assert units.shape == (40, 2) and np.all((units >= 0) & (units <= 5))


def _write_disfa_plus(folder):
  lines = ["Intensity", *(f"{i:03d}.jpg  {i % 6}" for i in range(40))]
  (folder / "AU6.txt").write_text("\n".join(lines) + "\n")


def _read_disfa_plus(path):
  from etils import epath

  from cmm_jax.preprocess import disfa

  labels = disfa.read_disfa_plus(epath.Path(path))
  assert all(0 <= value <= 5 for value in labels.values())


def _write_segments(folder):
  lines = ["clip,start,end", *(f"clip_{i},{i},{i + 40}" for i in range(20))]
  (folder / "segments.csv").write_text("\n".join(lines) + "\n")


def _read_segments(path):
  from etils import epath

  from cmm_jax.preprocess import table

  segments = table.read_segments(epath.Path(path))
  assert all(0 <= a < b for pairs in segments.values() for a, b in pairs)


def _write_folds(folder):
  lines = ["subject,fold", *(f"{i:03d},{i % 10 + 1}" for i in range(40))]
  (folder / "folds.csv").write_text("\n".join(lines) + "\n")


def _read_folds(path):
  from etils import epath

  from cmm_jax.preprocess import table

  table.read(epath.Path(path), ("subject", "fold"))


def _write_details(folder):
  lines = ["UvA-NEMO", "Name\tSubject\tAge\tSmile"]
  for i in range(1, 20):
    kind = ("deliberate", "spontaneous")[i % 2]
    lines.append(f"{i:03d}_{kind}_smile_1.mp4\t{i}\t30\t{kind}")
  (folder / "Database_File_Details.txt").write_text("\n".join(lines) + "\n")


def _read_details(path):
  from etils import epath

  from tfds_builders.uva_nemo import uva_nemo_dataset_builder

  file = path.with_name("UvA_File_Details.txt")
  path.rename(file)
  list(uva_nemo_dataset_builder._read_file_details([epath.Path(file)]))


def _write_clips(folder):
  lines = ["clip,subject,label", *(f"c{i},s{i // 2},posed" for i in range(20))]
  (folder / "clips.csv").write_text("\n".join(lines) + "\n")


def _read_clips(path):
  from cmm_jax.user_study import clips

  folder = path.parent / "videos"
  folder.mkdir(exist_ok=True)
  clips.read_clips(path.rename(folder / "clips.csv").parent, [])


KINDS = (
  Kind("OpenFace CSV", _write_openface, _read_openface),
  Kind("DISFA labels", _write_disfa, _read_disfa, suffix=".txt"),
  Kind("DISFA+ labels", _write_disfa_plus, _read_disfa_plus, suffix=".txt"),
  Kind("segments CSV", _write_segments, _read_segments),
  Kind("folds CSV", _write_folds, _read_folds),
  Kind("UvA-NEMO details", _write_details, _read_details, suffix=".txt"),
  Kind("study clips CSV", _write_clips, _read_clips),
)

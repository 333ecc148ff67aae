"""Fake OpenFace tables."""

import pathlib

import numpy as np

from tfds_builders.fake_data import film


def write_table(
  path: pathlib.Path,
  truth: film.GroundTruth,
  frames_per_second: float,
  with_face_id: bool = True,
) -> None:
  """Writes a table as OpenFace 2 does, with noisy action units.

  As in OpenFace's tables, names begin with a space. One frame has no success.

  Args:
    path: the CSV to write.
    truth: of the video.
    frames_per_second: of the video.
    with_face_id: whether there is the column face_id, which is newer.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(0)
  points = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
  face_id = ["face_id"] if with_face_id else []
  names = ["frame", *face_id, "timestamp", "confidence", "success", *points]
  names += ["AU06_r", "AU12_r", "AU06_c", "AU12_c"]
  lines = [", ".join(names)]
  for t, action_units in enumerate(truth.action_units):
    lost = t == 20
    noisy = np.clip(action_units + rng.normal(0, 0.1, 2), 0, 5) * (not lost)
    row = [t + 1, *([0] if with_face_id else [])]
    row += [f"{t / frames_per_second:.3f}"]
    row += ["0.02", 0] if lost else ["0.98", 1]
    row += [f"{value:.1f}" for value in truth.landmarks[t].T.ravel()]
    row += [f"{value:.2f}" for value in noisy]
    row += [f"{float(value >= 1):.2f}" for value in noisy]
    lines.append(", ".join(map(str, row)))
  path.write_text("\n".join(lines) + "\n")

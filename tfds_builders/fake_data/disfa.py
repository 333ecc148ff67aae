"""A small copy of DISFA's layout."""

import pathlib

import numpy as np
import scipy.io

from cmm_jax import landmarks
from tfds_builders.fake_data import film

_LEFT, _LEFT_MISSPELLED = "Videos_LeftCamera", "Video_LeftCamera"


def write(folder: pathlib.Path) -> dict[str, film.GroundTruth]:
  """Writes four subjects: two smiles, one, one, and one that is too weak.

  1024 by 768 pixels at 20 frames per second, as AVI. The irregularities of real
  copies are included: two spellings of files and folders, a duplicated level of
  folders, and one label more or less than the video has frames. Two subjects
  have landmarks, with names of two kinds.

  Args:
    folder: where to write.

  Returns:
    The ground truth by subject.
  """
  truths = {}
  for subject, seed, num_smiles, place, name, duplicated, extra_labels in (
    ("SN001", 11, 2, _LEFT, "LeftVideoSN001_comp.avi", False, 0),
    ("SN002", 12, 1, _LEFT, "LeftVideoSN002_Comp.avi", True, 1),
    ("SN004", 13, 1, _LEFT_MISSPELLED, "leftvideosn004_comp.AVI", False, -1),
    ("SN032", 14, 0, _LEFT, "LeftVideoSN032_comp.avi", False, 0),
  ):
    # AU06 in step with AU12, or an AU12 that is too weak.
    changes = {"au06": lambda fields: np.clip(fields["au12"], 0, 1)}
    if not num_smiles:
      changes = {"au12": lambda fields: 0.2 * fields["au12"]}
    person = film.make_film(
      seed, ["spontaneous"] * max(1, num_smiles), 60, 20, **changes
    )
    path = folder / "DISFA" / place / name
    with film.VideoWriter(path, "mpeg4", 20) as writer:
      truth = truths[subject] = person.render((1024, 768), 200, writer)
    labels = folder / "DISFA" / "ActionUnit_Labels" / subject
    _write_labels(
      labels / subject if duplicated else labels, subject, truth, extra_labels
    )
    if subject in ("SN001", "SN002"):
      _write_landmarks(folder / "DISFA" / "Landmark_Points", subject, truth)
  return truths


def _write_labels(folder, subject, truth, extra_labels):
  folder.mkdir(parents=True)
  for au, values in zip((6, 12), truth.action_units.T, strict=True):
    labels = np.rint(values).astype(int).tolist()
    labels += labels[-1:] * extra_labels  # none if it is negative
    labels = labels[: len(values) + extra_labels]
    (folder / f"{subject}_au{au}.txt").write_text(
      "".join(f"{t},{value}\n" for t, value in enumerate(labels, start=1))
    )
    (folder / f"{subject}_au{au + 1}.txt").write_text("1,0\n")


def _write_landmarks(folder, subject, truth):
  """DISFA's 66 landmarks of most frames."""
  folder = folder / subject / subject / "tmp_frame_lm"
  folder.mkdir(parents=True)
  for number, points in enumerate(truth.landmarks):
    name = f"l{number + 1:05d}"
    if subject == "SN001":
      name = f"SN001_{number:04d}"
    if number % 7:
      scipy.io.savemat(
        folder / f"{name}_lm.mat",
        {"pts": np.delete(points, landmarks.INNER_MOUTH_CORNERS, axis=0)},
      )

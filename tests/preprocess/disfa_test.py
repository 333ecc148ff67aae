"""The files of DISFA and DISFA+, written by hand."""

import pathlib

import numpy as np
import pytest
import scipy.io
from etils import epath

from cmm_jax.preprocess import action_units, decode, disfa


def video(num_frames, names=None):
  files = names and tuple(pathlib.Path(name) for name in names)
  return decode.Video(
    pathlib.Path("smile.mp4"), np.arange(num_frames) / 25, files
  )


def written(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  return epath.Path(tmp_path / name)


def labels_of(tmp_path, au06, au12):
  return disfa.DisfaLabels(
    (
      written(tmp_path, "SN001_au6.txt", au06),
      written(tmp_path, "SN001_au12.txt", au12),
    )
  )


def test_disfa_labels_are_read_line_by_line(tmp_path):
  aus = labels_of(tmp_path, "1,0\n2,1\n3,1\n", "1,0\n2,2\n3,5\n").read(video(3))

  np.testing.assert_array_equal(aus, [[0, 0], [1, 2], [1, 5]])


@pytest.mark.parametrize("frames", [2, 3, 4, 5])
def test_disfa_labels_are_fitted_to_the_length_of_the_video(tmp_path, frames):
  aus = labels_of(tmp_path, "1,0\n2,1\n3,1\n", "1,0\n2,2\n3,5\n").read(
    video(frames)
  )

  assert aus[:, 1].tolist() == [0, 2, 5, 5, 5][:frames]


@pytest.mark.parametrize(
  ("au06", "au12", "message"),
  [
    ("1,0\n2,0\n", "1,0\n2,0\n", r"has 2 labels, .* has 9 frames.* by 2"),
    ("1,0\n2,0\n", "1,0\n", r"au6.txt' has 2 labels, .*au12.txt' has 1"),
    ("1,0\n2;0\n", "1,0\n2,0\n", r"Line 2 .*'2;0'.*'frame,intensity'"),
    ("1,0\n2,7\n", "1,0\n2,0\n", r"Line 2 .*'2,7'.* 0 to 5"),
    ("0,0\n1,0\n", "1,0\n2,0\n", r"do not count up from 1"),
    ("", "1,0\n", r"do not count up from 1"),
  ],
)
def test_wrong_disfa_labels_are_an_error_that_names_the_line(
  tmp_path, au06, au12, message
):
  with pytest.raises(action_units.ActionUnitError, match=message):
    labels_of(tmp_path, au06, au12).read(video(9))


def test_missing_disfa_labels_are_named(tmp_path):
  labels = disfa.DisfaLabels((epath.Path(tmp_path / "SN001_au6.txt"),) * 2)

  with pytest.raises(FileNotFoundError, match=r"SN001_au6\.txt"):
    labels.read(video(3))


@pytest.mark.parametrize(
  "header", ["", "# manual\n", "SN001 A1\nFrame  Intensity\n"]
)
def test_disfa_plus_labels_are_matched_by_image_name(tmp_path, header):
  text = header + "001.jpg     3\n000.jpg     0\n002.JPG  4\n"
  file = written(tmp_path, "AU12.txt", text)

  aus = disfa.DisfaPlusLabels((file, file)).read(
    video(2, ["000.jpg", "001.jpg"])
  )

  np.testing.assert_array_equal(aus[:, 1], [0, 3])


def test_an_unlabeled_image_of_disfa_plus_is_named(tmp_path):
  file = written(tmp_path, "AU12.txt", "000.jpg 0\n")

  with pytest.raises(
    action_units.ActionUnitError,
    match=r"1 labels for the 3 .*'001.jpg' and 1 more",
  ):
    disfa.DisfaPlusLabels((file, file)).read(
      video(3, ["000.jpg", "001.jpg", "002.jpg"])
    )
  with pytest.raises(
    action_units.ActionUnitError, match=r"no line like '000\.jpg"
  ):
    disfa.read_disfa_plus(written(tmp_path, "AU6.txt", "nothing\n"))


def saved_landmarks(tmp_path, points):
  file = tmp_path / "l00001_lm.mat"
  scipy.io.savemat(file, {"pts": points})
  return epath.Path(file)


def test_the_error_of_landmarks_is_in_percent_of_the_interocular_distance(
  tmp_path,
):
  points = np.random.default_rng(0).uniform(0, 99, (2, 68, 2))
  points[:, 36], points[:, 45] = [20, 40], [70, 40]  # 50 pixels apart
  reference = points[1] + np.array([3, 4])  # 5 pixels off
  reference = np.delete(reference, [60, 64], axis=0)
  given = disfa.DisfaLandmarks({7: saved_landmarks(tmp_path, reference)})

  error = given.error(np.array([6, 7]), points)

  np.testing.assert_allclose(error, 10)


@pytest.mark.parametrize("content", [b"", b"no matrix", None])
def test_reference_landmarks_that_cannot_be_read_are_ignored(tmp_path, content):
  file = epath.Path(tmp_path / "l00001_lm.mat")
  if content is None:
    scipy.io.savemat(file, {"other": np.zeros((66, 2))})
  else:
    file.write_bytes(content)
  given = disfa.DisfaLandmarks({0: file})
  points = np.random.default_rng(0).uniform(0, 99, (1, 68, 2))

  assert np.isnan(given.error(np.array([0]), points))

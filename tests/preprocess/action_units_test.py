"""Reading action units, from files written by hand in each format."""

import pathlib

import numpy as np
import pytest
from etils import epath

from cmm_jax.preprocess import action_units, decode


def video(num_frames, names=None):
  files = names and tuple(pathlib.Path(name) for name in names)
  return decode.Video(
    pathlib.Path("smile.mp4"), np.arange(num_frames) / 25, files
  )


def written(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  return epath.Path(tmp_path / name)


# ---------------------------------------------------------------- OpenFace


HEADER = (
  "frame, face_id, timestamp, confidence, success, AU06_r, AU12_r, AU06_c"
)


def table(tmp_path, *rows, header=HEADER):
  file = written(tmp_path, "smile.csv", "\n".join([header, *rows]) + "\n")
  return action_units.OpenFaceTable(file)


def test_openface_columns_are_found_whatever_the_spaces(tmp_path):
  rows = ("1, 0, 0.0, 0.98, 1, 0.10, 0.20, 0", "2, 0, 0.04, 0.98, 1, 1.5, 3, 1")

  units = table(tmp_path, *rows).read(video(2))

  np.testing.assert_allclose(units, [[0.1, 0.2], [1.5, 3.0]], rtol=1e-6)


def test_older_tables_have_no_faces_numbered(tmp_path):
  header = HEADER.replace(" face_id,", "")

  units = table(tmp_path, "1, 0.0, 0.98, 1, 0.10, 0.20, 0", header=header).read(
    video(1)
  )

  np.testing.assert_allclose(units, [[0.1, 0.2]], rtol=1e-6)


def test_frames_that_openface_did_not_trust_have_no_units(tmp_path):
  units = table(
    tmp_path,
    "1, 0, 0.00, 0.98, 1, 0, 1.0, 0",
    "2, 0, 0.04, 0.30, 1, 5, 5.0, 1",  # low confidence
    "3, 0, 0.08, 0.98, 0, 0, 0.0, 0",  # no success
    "4, 0, 0.12, 0.98, 1, 0, 4.0, 0",
  ).read(video(4))

  np.testing.assert_array_equal(
    units, [[0, 1], [np.nan] * 2, [np.nan] * 2, [0, 4]]
  )
  bridged = action_units.bridge(units, 0.04)
  np.testing.assert_allclose(bridged[:, 1], [1, 2, 3, 4], rtol=1e-6)


def test_of_several_faces_the_surest_counts(tmp_path):
  units = table(
    tmp_path, "1, 0, 0.0, 0.80, 1, 1, 1, 0", "1, 1, 0.0, 0.95, 1, 2, 3, 0"
  ).read(video(1))

  np.testing.assert_allclose(units, [[2, 3]])


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_frame_more_or_less_than_the_video_is_no_error(tmp_path, frames):
  rows = [f"{i}, 0, 0.0, 0.98, 1, 0, {i}, 0" for i in (1, 2)]

  units = table(tmp_path, *rows).read(video(frames))

  assert units[:, 1].tolist() == [1, 2, 2, 2][:frames]


@pytest.mark.parametrize(
  ("interval", "lost", "allowed"), [(0.02, 11, 10), (0.1, 3, 2)]
)
def test_too_many_frames_in_a_row_without_units_are_named(
  interval, lost, allowed
):
  units = np.ones((20, 2))
  units[4 : 4 + lost] = np.nan

  with pytest.raises(
    action_units.LabelError,
    match=rf"frames 54 to {53 + lost} of smile.*; up to {allowed} in a row",
  ):
    action_units.bridge(units, interval, first=50, source="smile.mp4")
  units[4] = 1
  assert np.isfinite(action_units.bridge(units, interval)).all()


@pytest.mark.parametrize(
  ("rows", "header", "says"),
  [
    (["1, 0, 0, 1, 1, 0, 0, 0"], HEADER, r"has 1 frames up to 1, .* has 30:"),
    ([], HEADER, r"has 0 frames, .* has 30"),
    ([], "frame, success", r"lacks the columns confidence, AU06_r, AU12_r"),
    ([], "", r"lacks the columns frame"),
    (["1, 0, 0.0, 0.9"], HEADER, "cut short"),
    (["1, 0, 0.0, 0.9, 1, a, 0, 0"], HEADER, "no numbers"),
    (["1, 0, 0.0, 0.9, 1, 0, 0, " + "\0" * 200_000], HEADER, "is no text"),
  ],
)
def test_a_table_that_does_not_fit_its_video_says_how(
  tmp_path, rows, header, says
):
  with pytest.raises(action_units.LabelError, match=says):
    table(tmp_path, *rows, header=header).read(video(30))


# ------------------------------------------------------------------- DISFA


def disfa(tmp_path, au06, au12):
  return action_units.DisfaLabels(
    (
      written(tmp_path, "SN001_au6.txt", au06),
      written(tmp_path, "SN001_au12.txt", au12),
    )
  )


def test_disfa_labels_are_read_by_line(tmp_path):
  units = disfa(tmp_path, "1,0\n2,1\n3,1\n", "1,0\n2,2\n3,5\n").read(video(3))

  np.testing.assert_array_equal(units, [[0, 0], [1, 2], [1, 5]])


@pytest.mark.parametrize("frames", [2, 3, 4, 5])
def test_a_frame_more_or_less_is_usual_in_disfa(tmp_path, frames):
  units = disfa(tmp_path, "1,0\n2,1\n3,1\n", "1,0\n2,2\n3,5\n").read(
    video(frames)
  )

  assert units[:, 1].tolist() == [0, 2, 5, 5, 5][:frames]


@pytest.mark.parametrize(
  ("au06", "au12", "says"),
  [
    ("1,0\n2,0\n", "1,0\n2,0\n", r"has 2 labels, .* has 9 frames.* by 2"),
    ("1,0\n2,0\n", "1,0\n", r"au6.txt' has 2 labels, .*au12.txt' has 1"),
    ("1,0\n2;0\n", "1,0\n2,0\n", r"Line 2 .*'2;0'.*'frame,intensity'"),
    ("1,0\n2,7\n", "1,0\n2,0\n", r"Line 2 .*'2,7'.* 0 to 5"),
    ("0,0\n1,0\n", "1,0\n2,0\n", r"do not count up from 1"),
    ("", "1,0\n", r"do not count up from 1"),
  ],
)
def test_disfa_labels_that_are_wrong_name_the_line(tmp_path, au06, au12, says):
  with pytest.raises(action_units.LabelError, match=says):
    disfa(tmp_path, au06, au12).read(video(9))


def test_missing_labels_are_named(tmp_path):
  labels = action_units.DisfaLabels(
    (epath.Path(tmp_path / "SN001_au6.txt"),) * 2
  )

  with pytest.raises(FileNotFoundError, match=r"SN001_au6\.txt"):
    labels.read(video(3))


# ------------------------------------------------------------------ DISFA+


@pytest.mark.parametrize(
  "header", ["", "# by hand\n", "SN001 A1\nFrame  Intensity\n"]
)
def test_disfa_plus_labels_are_told_by_their_images_names(tmp_path, header):
  text = header + "001.jpg     3\n000.jpg     0\n002.JPG  4\n"
  file = written(tmp_path, "AU12.txt", text)

  units = action_units.DisfaPlusLabels((file, file)).read(
    video(2, ["000.jpg", "001.jpg"])
  )

  np.testing.assert_array_equal(units[:, 1], [0, 3])


def test_an_image_of_disfa_plus_without_a_label_is_named(tmp_path):
  file = written(tmp_path, "AU12.txt", "000.jpg 0\n")

  with pytest.raises(
    action_units.LabelError, match=r"1 labels, for the 3 .*'001.jpg' and 1 more"
  ):
    action_units.DisfaPlusLabels((file, file)).read(
      video(3, ["000.jpg", "001.jpg", "002.jpg"])
    )
  with pytest.raises(action_units.LabelError, match=r"no line like '000\.jpg"):
    action_units.read_disfa_plus(written(tmp_path, "AU6.txt", "nothing\n"))


# ------------------------------------------------------------- blendshapes


def shapes(smile, squint):
  return {
    "mouthSmileLeft": smile,
    "mouthSmileRight": smile + 0.02,
    "eyeSquintLeft": squint,
    "eyeSquintRight": squint,
  }


def test_blendshapes_count_from_the_clips_own_neutral():
  # Eyes that are narrow anyway are no raised cheek.
  seen = [shapes(0.0, 0.4)] * 10 + [shapes(0.8, 0.6)] * 10

  units = action_units.from_blendshapes(seen)

  np.testing.assert_allclose(units[:10], 0, atol=1e-6)
  np.testing.assert_allclose(units[10:], [[2.0, 4.0]] * 10, rtol=1e-5)


def test_a_blink_at_rest_is_not_the_neutral():
  seen = [shapes(0.0, 0.4)] * 9 + [shapes(0.0, 0.1)] + [shapes(0.8, 0.6)] * 10

  units = action_units.from_blendshapes(seen)

  np.testing.assert_allclose(units[10:, 0], 2.0, rtol=1e-5)


def test_frames_without_blendshapes_have_no_units():
  some = [shapes(0.0, 0.4)] * 10

  units = action_units.from_blendshapes([*some, None, *some])

  assert np.isnan(units[10]).all()
  np.testing.assert_allclose(np.delete(units, 10, axis=0), 0, atol=1e-6)
  with pytest.raises(action_units.LabelError, match="no face in any frame"):
    action_units.from_blendshapes([None, None])

"""Action units from OpenFace's tables and from blendshapes."""

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


HEADER = (
  "frame, face_id, timestamp, confidence, success, AU06_r, AU12_r, AU06_c"
)


def table(tmp_path, *rows, header=HEADER):
  file = written(tmp_path, "smile.csv", "\n".join([header, *rows]) + "\n")
  return action_units.OpenFaceTable(file)


def test_openface_columns_are_found_despite_spaces(tmp_path):
  rows = ("1, 0, 0.0, 0.98, 1, 0.10, 0.20, 0", "2, 0, 0.04, 0.98, 1, 1.5, 3, 1")

  aus = table(tmp_path, *rows).read(video(2))

  np.testing.assert_allclose(aus, [[0.1, 0.2], [1.5, 3.0]], rtol=1e-6)


def test_older_tables_without_face_id_are_read(tmp_path):
  header = HEADER.replace(" face_id,", "")

  aus = table(tmp_path, "1, 0.0, 0.98, 1, 0.10, 0.20, 0", header=header).read(
    video(1)
  )

  np.testing.assert_allclose(aus, [[0.1, 0.2]], rtol=1e-6)


def test_frames_without_confidence_or_success_are_gaps(tmp_path):
  aus = table(
    tmp_path,
    "1, 0, 0.00, 0.98, 1, 0, 1.0, 0",
    "2, 0, 0.04, 0.30, 1, 5, 5.0, 1",  # low confidence
    "3, 0, 0.08, 0.98, 0, 0, 0.0, 0",  # no success
    "4, 0, 0.12, 0.98, 1, 0, 4.0, 0",
  ).read(video(4))

  np.testing.assert_array_equal(
    aus, [[0, 1], [np.nan] * 2, [np.nan] * 2, [0, 4]]
  )
  filled = action_units.interpolate_gaps(aus, 0.04)
  np.testing.assert_allclose(filled[:, 1], [1, 2, 3, 4], rtol=1e-6)


def test_of_several_faces_the_most_confident_counts(tmp_path):
  aus = table(
    tmp_path, "1, 0, 0.0, 0.80, 1, 1, 1, 0", "1, 1, 0.0, 0.95, 1, 2, 3, 0"
  ).read(video(1))

  np.testing.assert_allclose(aus, [[2, 3]])


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_table_is_fitted_to_the_length_of_its_video(tmp_path, frames):
  rows = [f"{i}, 0, 0.0, 0.98, 1, 0, {i}, 0" for i in (1, 2)]

  aus = table(tmp_path, *rows).read(video(frames))

  assert aus[:, 1].tolist() == [1, 2, 2, 2][:frames]


@pytest.mark.parametrize(
  ("interval", "lost", "allowed"), [(0.02, 11, 10), (0.1, 3, 2)]
)
def test_a_gap_that_is_too_long_is_an_error_that_names_its_frames(
  interval, lost, allowed
):
  aus = np.ones((20, 2))
  aus[4 : 4 + lost] = np.nan

  with pytest.raises(
    action_units.ActionUnitError,
    match=rf"frames 54 to {53 + lost} of smile.*; at most {allowed} in a row",
  ):
    action_units.interpolate_gaps(
      aus, interval, first_frame=50, source="smile.mp4"
    )
  aus[4] = 1
  assert np.isfinite(action_units.interpolate_gaps(aus, interval)).all()


@pytest.mark.parametrize(
  ("rows", "header", "message"),
  [
    (["1, 0, 0, 1, 1, 0, 0, 0"], HEADER, r"has 1 frames up to 1, .* has 30:"),
    ([], HEADER, r"has 0 frames, .* has 30"),
    ([], "frame, success", r"lacks the columns confidence, AU06_r, AU12_r"),
    ([], "", r"lacks the columns frame"),
    (["1, 0, 0.0, 0.9"], HEADER, "truncated"),
    (["1, 0, 0.0, 0.9, 1, a, 0, 0"], HEADER, "not numeric"),
    (["1, 0, 0.0, 0.9, 1, 0, 0, " + "\0" * 200_000], HEADER, "is not a CSV"),
  ],
)
def test_an_unusable_table_is_an_error_that_says_why(
  tmp_path, rows, header, message
):
  with pytest.raises(action_units.ActionUnitError, match=message):
    table(tmp_path, *rows, header=header).read(video(30))


def shapes(smile, squint):
  return {
    "mouthSmileLeft": smile,
    "mouthSmileRight": smile + 0.02,
    "eyeSquintLeft": squint,
    "eyeSquintRight": squint,
  }


def test_action_units_are_relative_to_the_neutral_of_the_video():
  # Eyes that are always narrow are no AU06.
  blendshapes = [shapes(0.0, 0.4)] * 10 + [shapes(0.8, 0.6)] * 10

  aus = action_units.from_blendshapes(blendshapes)

  np.testing.assert_allclose(aus[:10], 0, atol=1e-6)
  np.testing.assert_allclose(aus[10:], [[2.0, 4.0]] * 10, rtol=1e-5)


def test_a_blink_at_rest_does_not_change_the_neutral():
  blendshapes = (
    [shapes(0.0, 0.4)] * 9 + [shapes(0.0, 0.1)] + [shapes(0.8, 0.6)] * 10
  )

  aus = action_units.from_blendshapes(blendshapes)

  np.testing.assert_allclose(aus[10:, 0], 2.0, rtol=1e-5)


def test_frames_without_blendshapes_are_gaps():
  neutral = [shapes(0.0, 0.4)] * 10

  aus = action_units.from_blendshapes([*neutral, None, *neutral])

  assert np.isnan(aus[10]).all()
  np.testing.assert_allclose(np.delete(aus, 10, axis=0), 0, atol=1e-6)
  with pytest.raises(
    action_units.ActionUnitError, match="no face in any frame"
  ):
    action_units.from_blendshapes([None, None])

"""Curves in time, and their files."""

import csv
import json

import numpy as np
import pytest

from cmm_jax.avatar import arkit
from cmm_jax.avatar.curves import Curves

# The first line of a take that Live Link Face recorded.
RECORDED = (
  "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,"
  "EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,EyeWideLeft,EyeBlinkRight,"
  "EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,"
  "EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,"
  "MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,"
  "MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,"
  "MouthDimpleRight,MouthStretchLeft,MouthStretchRight,MouthRollLower,"
  "MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,"
  "MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,"
  "MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,"
  "BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,"
  "NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,"
  "LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


@pytest.fixture
def curves():
  """Two smiles of 32 frames at 20 per second that rest for three frames."""
  rise = np.clip((np.arange(32) - 2) / 20, 0, 1)
  weights = np.zeros((2, 32, len(arkit.NAMES)), np.float32)
  weights[0, :, arkit.NAMES.index("mouthSmileLeft")] = rise
  weights[1, :, arkit.NAMES.index("jawOpen")] = 0.4 * rise
  return Curves(weights, ("conditional", "mode_1"), label="posed")


def test_a_take_is_written_as_live_link_face_writes_it(curves, tmp_path):
  curves.resample(60).save_csv(tmp_path / "take.csv", "mode_1")

  lines = (tmp_path / "take.csv").read_text().splitlines()
  assert lines[0] == RECORDED
  rows = list(csv.DictReader(lines))
  assert len(rows) == 94  # 31 / 20 s at 60 per second, and the first frame
  assert {row["BlendShapeCount"] for row in rows} == {"61"}
  assert rows[0]["Timecode"] == "00:00:00:00.000"
  assert rows[61]["Timecode"] == "00:00:01:01.000"
  assert rows[-1]["JawOpen"] == "0.4000000060"
  assert rows[-1]["HeadYaw"] == "0.0000000000"
  assert float(rows[-1]["MouthSmileLeft"]) == 0


@pytest.mark.parametrize(
  ("frame", "timecode"), [(0, "00:00:00:00.000"), (107_999, "00:59:59:29.000")]
)
def test_timecodes_count_frames_at_the_nearest_whole_rate(frame, timecode):
  weights = np.zeros((1, 2, len(arkit.NAMES)), np.float32)

  assert Curves(weights, ("a",), 29.97)._timecode(frame) == timecode


def test_json_has_everything_by_name(curves, tmp_path):
  curves.save_json(tmp_path / "curves.json")

  content = json.loads((tmp_path / "curves.json").read_text())
  assert content["label"] == "posed"
  assert content["framesPerSecond"] == 20
  assert "not recorded" in content["notice"]
  smile = np.array(content["sequences"]["conditional"])
  index = content["blendShapes"].index("mouthSmileLeft")
  np.testing.assert_allclose(smile[:, index], curves.weights[0, :, index + 0
  ], atol=1e-5)  # fmt: skip


def test_any_frame_rate_and_length(curves):
  longer = curves.resample(24, seconds=3)

  assert longer.weights.shape == (2, 73, 52)
  assert longer.times[-1] == 3
  np.testing.assert_array_equal(longer.weights[:, -1], curves.weights[:, -1])
  # At 1.5 s of 3 it is as far as at half of its own time, between 15 and 16.
  middle = longer["mode_1"][36].max()
  assert 0.4 * 13 / 20 < middle < 0.4 * 14 / 20


def test_curves_stay_at_rest_and_within_their_bounds(curves):
  fine = curves.resample(240)

  rest = fine.times <= 2 / 20
  assert rest.sum() == 25
  assert not fine.weights[:, rest].any()
  assert fine.weights.min() == 0
  assert fine["conditional"].max() == 1


def test_a_loop_goes_there_and_back_without_a_repeated_frame(curves):
  there = curves.resample(20)
  loop = curves.resample(20, loop=True)

  assert loop.weights.shape[1] == 2 * 32 - 2
  np.testing.assert_array_equal(loop.weights[:, :32], there.weights)
  np.testing.assert_array_equal(loop.weights[:, 32], there.weights[:, 30])
  np.testing.assert_array_equal(loop.weights[:, -1], there.weights[:, 1])


def test_sequences_are_chosen_by_name(curves):
  chosen = curves.select(["mode_1"])

  assert chosen.sequence_names == ("mode_1",)
  np.testing.assert_array_equal(chosen["mode_1"], curves["mode_1"])
  with pytest.raises(ValueError, match="no sequence 'mode_9'; choose from con"):
    curves.select(["mode_9"])


def test_a_rate_that_is_not_positive_is_refused(curves):
  with pytest.raises(ValueError, match=r"1\.55 seconds at 0 frames"):
    curves.resample(0)

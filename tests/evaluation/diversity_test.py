"""How the smiles of one face differ, worked on sequences made by hand."""

import numpy as np
import pytest

from cmm_jax import generate, report
from cmm_jax.evaluation import diversity, samples
from cmm_jax.evaluation.metrics.confidence import Estimate
from cmm_jax.evaluation.samples import ORIGINALS

FRAMES, SIZE = 32, 64
MOUTH = list(range(48, 68))


def sequences(*openings):
  """One face [s t 68 2], whose mouth moves down in the last 16 frames by as
  many pixels as each sequence has."""
  base = np.random.default_rng(0).uniform(10, 50, (68, 2))
  points = np.tile(base, (len(openings), FRAMES, 1, 1))
  for points_of_one, opening in zip(points, openings, strict=True):
    points_of_one[16:, MOUTH, 1] += opening
  return points


class Reader:
  """Reads points that are written into the corner of a drawing."""

  def __init__(self, by_number):
    self._by_number = by_number

  def points(self, drawings):
    return self._by_number[drawings[..., 0, 0]]

  def action_units(self, frames, neutral):
    del neutral
    rise = np.linspace(0, 4, FRAMES)
    return np.broadcast_to(rise[:, None], (*frames.shape[:-3], 2)).copy()


@pytest.fixture
def varied(monkeypatch):
  """Two clips of one person whose mouths open by 0 and 3; modes by 0, 2, 4."""
  monkeypatch.setattr(diversity.perceptual, "Lpips", Lpips)
  true, made = sequences(0, 3), sequences(1, 0, 2, 4)
  monkeypatch.setattr(diversity, "_drawn", lambda clips: numbered(0, 2))
  frames = np.full((FRAMES, SIZE, SIZE, 3), 90, np.uint8)
  clips = [
    {
      "frames": frames,
      "landmarks": true[i].astype(np.float32),
      "action_units": np.tile(
        np.linspace(0, 4, FRAMES, dtype=np.float32)[:, None], 2
      ),
      "label": 0,
      "subject": "a",
    }
    for i in range(2)
  ]
  drawings = np.stack([numbered(2, 4)] * 2)
  smiles = generate.Smiles(drawings, np.tile(frames, (2, 4, 1, 1, 1, 1)))
  held = samples.TestSamples(["posed"], clips, {"cmm_net": smiles})
  every = np.concatenate([true, made]).reshape(-1, 68, 2)
  return diversity.measure(held, Reader(every))


def numbered(start, count):
  """Drawings [count t 64 64] with their frames' numbers in a corner."""
  drawings = np.zeros((count, FRAMES, SIZE, SIZE), np.uint8)
  numbers = FRAMES * start + np.arange(count * FRAMES)
  drawings[..., 0, 0] = numbers.reshape(count, FRAMES)
  return drawings


class Lpips:
  def diversity(self, samples):
    return 0.0


def test_apd_is_the_mean_distance_of_all_pairs_of_modes(varied):
  row = varied.table["cmm_net"]["posed"]

  # Pairs of 0, 2, 4 are 2, 2 and 4 apart, in 20 of 68 points.
  assert row["apd_smile_mouth"].mean == pytest.approx(8 / 3)
  assert row["apd_smile"].mean == pytest.approx(8 / 3 * 20 / 68)
  assert row["apd_smile_eyes"].mean == 0
  assert row["apd_start"].mean == 0
  assert row["apd_share_mouth"].mean == pytest.approx(68 / 20)


def test_true_clips_of_a_person_are_compared_with_each_other_once(varied):
  row = varied.table[ORIGINALS]["posed"]

  assert row["apd_smile_mouth"].mean == pytest.approx(3)
  assert row["apd_smile"].clips == 1
  assert row["mouth_corners_px"].clips == 2


def test_the_best_mode_counts_for_each_clip(varied):
  row = varied.table["cmm_net"]["posed"]

  # Truths 0 and 3: the nearest of 0, 2, 4 are 0 and 1 pixels away.
  assert row["fde"].mean == pytest.approx(0.5 * 20 / 68)
  assert row["ade"].mean == pytest.approx(0.5 * 20 / 68 / 2)  # half the frames
  # The conditional sequence's mouth moves by 1, the true ones by 0 and 3.
  assert row["mouth_corners_px"].mean == pytest.approx(1)
  assert varied.table[ORIGINALS]["posed"]["mouth_corners_px"].mean == 1.5


def test_instruments_that_read_the_truth_are_without_error(varied):
  assert varied.instruments["points_px"] == pytest.approx(0, abs=1e-5)
  assert varied.instruments["AU06_mae"] == pytest.approx(0, abs=1e-6)
  assert varied.instruments["AU12_icc"] == pytest.approx(1)


def test_half_of_the_rise_lies_between_two_frames():
  curve = np.zeros(32)
  curve[10:] = 4
  curve[9] = 1  # half of 4 lies a third of the way from 1 to 4

  np.testing.assert_allclose(diversity.half_rise(curve), 9 + 1 / 3)


def test_half_of_the_rise_counts_from_the_first_frame_and_may_fall():
  curve = 3 - np.clip(np.arange(32) / 20, 0, 1)  # from 3 to 2

  np.testing.assert_allclose(diversity.half_rise(curve), 10)


def test_a_flat_curve_has_no_rise():
  assert np.isnan(diversity.half_rise(np.ones(32)))


def test_the_reports_goals_are_met_or_missed_by_the_numbers():
  def row(**values):
    return {"posed": {n: Estimate(v, v, v, 4) for n, v in values.items()}}

  table = {
    "originals": row(mouth_corners_px=3.0, apd_smile=0.8),
    "neutral_repeated": row(ssim_smile=0.75),
    "cmm_net": row(
      ssim_smile=0.8, mouth_corners_px=1.5, apd_smile=0.5, apd_start=0.2
    ),
  }

  met = [met for _, _, met in report.goals(table, "posed")]

  alone = {"ssim_smile", "mouth_corners_px"}  # of one mode: no APD
  for row_of in table.values():
    row_of["posed"] = {n: v for n, v in row_of["posed"].items() if n in alone}
  assert [m for _, _, m in report.goals(table, "posed")] == [
    *(True, False, False, False)
  ]
  # SSIM above; mouth half as far, not two thirds; APD above half of the true;
  # at the start more than a fifth of it.
  assert met == [True, False, True, False]

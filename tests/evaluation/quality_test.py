"""Comparing models, on drawn faces that any network can tell apart."""

import numpy as np
import pytest

from cmm_jax import generate
from cmm_jax.evaluation import quality, samples, tables
from cmm_jax.evaluation.metrics import classifiers, confidence, label_accuracy
from cmm_jax.evaluation.samples import ORIGINALS, STILL

LABELS = ["spontaneous", "posed"]
FRAMES = 12


@pytest.fixture(scope="module")
def clips():
  """Two people, two clips of each label by each."""
  random = np.random.default_rng(0)
  made = []
  for person in range(2):
    face = random.integers(0, 256, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    for label in range(2):
      for _ in range(2):
        noise = random.normal(0, 6, (FRAMES, 64, 64, 3))
        points = np.tile(random.uniform(10, 54, (68, 2)), (FRAMES, 1, 1))
        points[:, [48, 54]] = [[25, 45], [40, 45]]  # the mouth's corners
        made.append(
          {
            "frames": np.clip(face[None] + noise, 0, 255).astype(np.uint8),
            "landmarks": points.astype(np.float32),
            "action_units": np.zeros((FRAMES, 2), np.float32),
            "label": label,
            "subject": f"person {person}",
          }
        )
  return made


class Classifier:
  """Names the brightest channel: enough to be more or less sure."""

  name = "brightest channel"

  def __call__(self, pictures):
    features = pictures.mean(axis=(1, 2))
    weights = np.exp((features - features.max(axis=1, keepdims=True)) / 20)
    return classifiers.Predictions(
      self.name, weights / weights.sum(axis=1, keepdims=True), features
    )


class Recogniser:
  """Embeds a face as its mean colours in 64 squares."""

  def __call__(self, frames, points):
    squares = frames.reshape(len(frames), 8, 8, 8, 8, 3).mean(axis=(2, 4))
    return squares.reshape(len(frames), -1)[:, :128].astype(np.float32)


class Lpips:
  """The mean difference of brightness."""

  def __call__(self, frames, truth):
    return float(np.abs(frames.astype(float) - truth).mean())


def widened(clips, slope):
  """Points whose mouths widen by `slope` pixels a frame; faces of drawn noise
  have none of their own."""
  points = np.stack([clip["landmarks"] for clip in clips])
  points = points[:, :: quality.POINTS_EVERY].copy()
  time = np.arange(points.shape[1])
  points[:, :, 48, 0] -= slope * time[None]
  points[:, :, 54, 0] += slope * time[None]
  return points


@pytest.fixture
def compared(clips, monkeypatch):
  """A model that gives another person's face, beside the neutral frame; its
  mouths all widen as those of label 0 do."""
  monkeypatch.setattr(quality.identity, "Recogniser", Recogniser)
  monkeypatch.setattr(quality.perceptual, "Lpips", Lpips)
  frames = np.stack([clip["frames"] for clip in clips])
  other = np.roll(frames, 4, axis=0)
  held = samples.TestSamples(
    LABELS, clips, {"cmm_net": generate.Smiles(None, other[:, None])}
  )
  rise = np.linspace(0, 4, FRAMES)
  true = np.tile(rise[None, :, None], (len(clips), 1, 2))
  units = {ORIGINALS: true, STILL: 0 * true, "cmm_net": true - 1}
  labels = np.array([clip["label"] for clip in clips])
  widening = widened(clips, np.where(labels == 0, 2.0, 0.0)[:, None])
  points = {
    ORIGINALS: widening,
    STILL: widened(clips, 0.0),
    "cmm_net": widened(clips, 2.0),
  }
  taught = label_accuracy.Labelled(
    label_accuracy.movement_curves(widening, true[:, :: quality.POINTS_EVERY]),
    labels,
  )
  moved = {
    model: label_accuracy.movement_curves(
      found, units[model][:, :: quality.POINTS_EVERY]
    )
    for model, found in points.items()
  }
  readings = quality.Readings(units, points, moved, taught, "a test")
  return quality.compare(held, readings, Classifier())


INSTRUMENTS = {
  "points_px": 0.5,
  **{
    f"{unit}_{quantity}": 0.25
    for unit in ("AU06", "AU12")
    for quantity in ("mae", "icc", "correlation")
  },
}


def test_the_same_person_is_nearer_than_another(compared):
  for label in LABELS:
    still = compared.table[STILL][label]
    other = compared.table["cmm_net"][label]

    assert still["aed"].mean < other["aed"].mean
    assert still["rank_1"].mean == 1 and other["rank_1"].mean == 0
    assert compared.table[ORIGINALS][label]["rank_1"].mean == 1
    assert still["ssim"].mean > other["ssim"].mean
    assert still["lpips"].mean < other["lpips"].mean
    # The same pictures in other clips: all of them together look true.
    assert other["fid"].mean == pytest.approx(0, abs=1e-6)
    assert still["ssim"].clips == 4


def test_the_originals_are_not_compared_with_themselves(compared):
  row = compared.table[ORIGINALS]["posed"]

  # The instruments' own errors and the judge's own accuracy, though.
  assert row.keys() == {
    *("rank_1", "inception_score", "agreement"),
    *("landmark_error", "au06_error", "au12_error"),
  }


def test_curves_are_as_far_apart_as_their_frames_together(compared):
  # One too low in each of twelve frames, whichever clips are left out.
  found = compared.table["cmm_net"]["posed"]["au06_distance"]

  assert found.mean == pytest.approx(FRAMES)
  assert found.low == pytest.approx(FRAMES) == found.high


def test_a_label_is_obeyed_where_faces_move_as_its_true_clips_do(compared):
  for label, obeyed in (("spontaneous", 1.0), ("posed", 0.0)):
    assert compared.table[ORIGINALS][label]["agreement"].mean == 1
    assert compared.table["cmm_net"][label]["agreement"].mean == obeyed
  assert compared.chance == 0.5


def test_each_clip_is_held_against_its_own_truth(compared, clips):
  row = compared.table[ORIGINALS]["posed"]

  # The true mouths of these clips stand still, and so do those that were read.
  assert row["landmark_error"].mean == 0
  # Of 68 points, two are off by 2 pixels more in every second frame: 0 ... 10.
  wide = compared.table["cmm_net"]["posed"]["landmark_error"].mean
  assert wide == pytest.approx(2 * np.arange(0, 12, 2).mean() / 68)


def test_tables_have_a_row_for_each_model_and_say_what_looked(compared):
  text = tables.markdown(compared.table, compared, INSTRUMENTS)

  assert "IS and FID by brightest channel" in text and "read by a test" in text
  ours = text.split("## What the paper found")[0]
  for label in LABELS:
    assert ours.count(f"### {label}\n") == 3  # quality, dynamics, modes
  assert ours.count("| CMM-Net |") == 4 and "Video-GAN" not in ours
  assert ours.count("| originals |") == 4
  # Of the paper's table 1: CMM-Net, UvA-NEMO, spontaneous.
  assert "| CMM-Net | 1.354 | 0.065 | 0.854 | 2.234 |" in text
  widths = {
    line.count("|")
    for line in ours.split("Table 3")[0].splitlines()
    if line.startswith("|")
  }
  assert widths == {10}


def test_forms_of_the_modes_stand_in_a_table_of_their_own(compared):
  forms = {
    model: {"posed": {"apd_smile": confidence.Estimate(apd, apd, apd, 4)}}
    for model, apd in (("cmm_net_as_printed", 0.04), ("cmm_net_push_10", 0.5))
  }

  text = tables.markdown(compared.table | forms, compared, INSTRUMENTS)

  quality, modes = text.split("## The modes")
  assert "as printed" not in quality
  assert "| as printed | 0.04 (0.04–0.04) |" in modes
  assert "| … push × 10 | 0.50" in modes
  assert tables.push_weights(compared.table | forms) == {
    "cmm_net": 1,
    "cmm_net_push_10": 10,
  }


def test_latex_has_no_sign_that_it_would_choke_on(compared):
  text = tables.latex(compared.table, compared)

  assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 6
  for sign in "↑↓Δ–×…":
    assert sign not in text
  assert "neutral frame repeated &" in text

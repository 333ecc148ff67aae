"""Comparing models, on drawn faces that any network can tell apart."""

import numpy as np
import pytest

from cmm_jax import comparison, tables
from cmm_jax.metrics import classifiers

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
        made.append(
          {
            "frames": np.clip(face[None] + noise, 0, 255).astype(np.uint8),
            "landmarks": points.astype(np.float32),
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


@pytest.fixture
def compared(clips, monkeypatch):
  """A model that gives another person's face, beside the neutral frame."""
  monkeypatch.setattr(comparison.identity, "Recogniser", Recogniser)
  frames = np.stack([clip["frames"] for clip in clips])
  videos = {
    comparison.ORIGINALS: frames,
    comparison.STILL: np.repeat(frames[:, :1], FRAMES, axis=1),
    "cmm_net": np.roll(frames, 4, axis=0),
  }
  rise = np.linspace(0, 4, FRAMES)
  true = np.tile(rise[None, :, None], (len(clips), 1, 2))
  units = {
    comparison.ORIGINALS: true,
    comparison.STILL: 0 * true,
    "cmm_net": true - 1,
  }
  return comparison.compare(videos, units, clips, LABELS, Classifier())


def test_the_same_person_is_nearer_than_another(compared):
  for label in LABELS:
    still = compared.table[comparison.STILL][label]
    other = compared.table["cmm_net"][label]

    assert still["aed"]["mean"] < other["aed"]["mean"]
    assert still["rank_1"]["mean"] == 1 and other["rank_1"]["mean"] == 0
    assert compared.table[comparison.ORIGINALS][label]["rank_1"]["mean"] == 1
    assert still["ssim"]["mean"] > other["ssim"]["mean"]
    # The same pictures in other clips: all of them together look true.
    assert other["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert still["ssim"]["clips"] == 4


def test_the_originals_are_not_compared_with_themselves(compared):
  row = compared.table[comparison.ORIGINALS]["posed"]

  assert row.keys() == {"rank_1", "inception_score"}


def test_curves_are_as_far_apart_as_their_frames_together(compared):
  # One too low in each of twelve frames.
  found = compared.table["cmm_net"]["posed"]["au06_distance"]

  assert found["mean"] == pytest.approx(FRAMES) and found["low"] is None


def test_tables_have_a_row_for_each_model_and_say_what_looked(compared):
  text = tables.markdown(compared)

  assert "IS and FID by brightest channel" in text
  ours = text.split("## What the paper found")[0]
  for label in LABELS:
    assert ours.count(f"### {label}\n") == 2
  assert ours.count("| CMM-Net |") == 4 and "Video-GAN" not in ours
  assert ours.count("| originals |") == 2  # no distance of curves to itself
  # Of the paper's table 1: CMM-Net, UvA-NEMO, spontaneous.
  assert "| CMM-Net | 1.354 | 0.065 | 0.854 | 2.234 |" in text
  widths = {
    line.count("|")
    for line in ours.split("Table 3")[0].splitlines()
    if line.startswith("|")
  }
  assert widths == {9}


def test_latex_has_no_sign_that_it_would_choke_on(compared):
  text = tables.latex(compared)

  assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 4
  for sign in "↑↓Δ–":
    assert sign not in text
  assert "neutral frame repeated &" in text

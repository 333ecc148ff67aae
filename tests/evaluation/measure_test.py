"""All metrics together, on made-up clips and networks."""

import fake_extractors as fakes
import numpy as np
import pytest

from cmm_jax.evaluation import measure, paper_tables, samples
from cmm_jax.evaluation.metrics import registry
from cmm_jax.evaluation.metrics.metric import (
  DYNAMICS,
  MODES,
  QUALITY,
  Metric,
)
from cmm_jax.evaluation.samples import ORIGINALS, STATIC
from cmm_jax.smiles import Smiles

LABELS = ["spontaneous", "posed"]
FRAMES = 12


def metrics_of(*tables):
  return [m for m in registry.METRICS.values() if set(m.tables) & set(tables)]


@pytest.fixture(scope="module")
def clips():
  """Two people, two clips of each label by each.

  Mouths widen by a pixel per frame in spontaneous clips, as their networks
  read it, and not at all in posed ones. Both action units rise from 0 to 4.
  """
  random = np.random.default_rng(0)
  clips = []
  for person in range(2):
    colors = random.integers(0, 256, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    for label in range(2):
      for _ in range(2):
        noise = random.normal(0, 6, (FRAMES, 64, 64, 3))
        frames = np.clip(colors[None] + noise, 0, 255).astype(np.uint8)
        widened = np.arange(FRAMES) if label == 0 else 0
        clips.append(
          {
            "frames": fakes.mark(frames, widened, np.linspace(0, 4, FRAMES)),
            "landmarks": np.tile(fakes.face(), (FRAMES, 1, 1)),
            "action_units": np.zeros((FRAMES, 2), np.float32),
            "label": label,
            "subject": f"person {person}",
          }
        )
  return clips


@pytest.fixture(scope="module")
def measurements(clips):
  """CMM-Net generates the other person's face, the mouth always widening and
  action units too low by one.
  """
  others = np.roll(np.stack([clip["frames"] for clip in clips]), 4, axis=0)
  videos = np.stack(
    [
      fakes.mark(video, np.arange(FRAMES), np.linspace(0, 4, FRAMES) - 1)
      for video in others
    ]
  )
  test = samples.TestSamples(
    LABELS, clips, {"cmm_net": Smiles(None, videos[:, None])}
  )
  return measure.read(test, fakes.Extractors(), clips), test.by_label()


@pytest.fixture(scope="module")
def table(measurements):
  return measure.table(*measurements, metrics_of(QUALITY, DYNAMICS))


def test_the_same_person_is_closer_than_another(table):
  for label in LABELS:
    static, other = table[STATIC][label], table["cmm_net"][label]

    assert static["aed"].value < other["aed"].value
    assert static["rank_1"].value == 1 and other["rank_1"].value == 0
    assert table[ORIGINALS][label]["rank_1"].value == 1
    assert static["ssim"].value > other["ssim"].value
    assert static["lpips"].value < other["lpips"].value
    # The set of frames is the originals', in other clips.
    assert other["fid"].value == pytest.approx(0, abs=1e-6)
    assert static["ssim"].clips == 4


def test_identity_drifts_from_the_neutral_face_in_all_frames(table):
  for label in LABELS:
    drifts = [
      table[model][label]["identity_drift"].value
      for model in (STATIC, ORIGINALS, "cmm_net")
    ]
    assert drifts[0] == 0 < drifts[1] < drifts[2]  # still, noise, another face
    worst = table[ORIGINALS][label]["identity_drift_worst"].value
    assert worst > drifts[1]


def test_metrics_against_the_originals_are_not_computed_of_them(table):
  assert table[ORIGINALS]["posed"].keys() == {
    *("rank_1", "inception_score", "label_accuracy", "pixel_label_accuracy"),
    *("identity_drift", "identity_drift_worst"),
    *("au06_distance", "au12_distance"),
    *("landmark_error", "au06_error", "au12_error", "au12_half_rise"),
  }


def test_the_curve_distance_is_summed_over_frames(table):
  # Too low by one in each of twelve frames, whichever clips are left out.
  estimate = table["cmm_net"]["posed"]["au06_distance"]

  assert estimate.value == pytest.approx(FRAMES, rel=0.01)  # 8-bit intensities
  assert estimate.low == pytest.approx(estimate.value) == estimate.high


def test_the_curve_distance_of_originals_is_that_of_their_halves(measurements):
  originals = measurements[0][ORIGINALS]
  of_set = registry.METRICS["au06_distance"].of_set

  found = of_set(originals, originals, np.array([0, 1, 4]))

  curves = originals.action_units[..., 0]
  gap = curves[[0, 4]].mean(axis=0) - curves[1]
  assert found == pytest.approx(np.abs(gap).sum(), abs=0.05)
  assert np.isnan(of_set(originals, originals, np.array([3])))


def test_labels_are_accurate_where_faces_move_as_in_true_clips(table):
  for label, accuracy in (("spontaneous", 1.0), ("posed", 0.0)):
    assert table[ORIGINALS][label]["label_accuracy"].value == 1
    assert table["cmm_net"][label]["label_accuracy"].value == accuracy


def test_errors_are_measured_against_the_clips_own_labels(table):
  original, generated = table[ORIGINALS]["posed"], table["cmm_net"]["posed"]

  # The mouths of posed clips do not move, and neither do their landmarks.
  assert original["landmark_error"].value == 0
  # Of 68 landmarks, two are off by a pixel more in each frame, of which every
  # second is measured.
  wanted = 2 * np.arange(0, FRAMES, 2).mean() / 68
  assert generated["landmark_error"].value == pytest.approx(wanted)
  # All labels are 0, the intensities measured are 2 on average.
  assert original["au12_error"].value == pytest.approx(2, rel=0.01)


def test_a_constant_curve_has_no_half_rise(table):
  assert "au12_half_rise" not in table[STATIC]["posed"]
  half = table[ORIGINALS]["posed"]["au12_half_rise"].value
  assert 0 < half < FRAMES


def test_clips_without_a_value_are_left_out(measurements):
  by_label = {"all": np.arange(8)}
  values = np.array([1.0, np.nan, 0.0, *5 * [np.nan]])
  metrics = [
    Metric(
      name=name,
      heading=name,
      tables=(QUALITY,),
      needs=(),
      per_clip=lambda model, originals, values=values: values,
    )
    for name, values in (("some", values), ("none", np.full(8, np.nan)))
  ]

  row = measure.table(measurements[0], by_label, metrics)["cmm_net"]["all"]

  assert row.keys() == {"some"}
  assert row["some"].value == 0.5 and row["some"].clips == 2


def test_a_new_metric_appears_in_the_tables_once_it_is_registered(
  measurements, monkeypatch
):
  toy = Metric(
    name="redness",
    heading="redness",
    unit="%",
    better="lower",
    digits=1,
    tables=(QUALITY,),
    needs=("videos",),
    per_clip=lambda model, originals: (
      model.videos[..., 0].mean((1, 2, 3)) / 2.55
    ),
  )
  monkeypatch.setitem(registry.METRICS, toy.name, toy)

  table = measure.table(*measurements, metrics_of(QUALITY, DYNAMICS))
  document = paper_tables.markdown(
    table,
    REGRESSOR_ERRORS,
    classifier="a toy",
    action_units_source="a toy",
    label_chance=0.5,
  )

  value = table["cmm_net"]["posed"]["redness"].value
  assert 0 < value < 100
  assert "| redness, % ↓ |" in document and f"| {value:.1f} (" in document
  assert r"redness, \% $\downarrow$" in paper_tables.latex(
    table, classifier="a toy"
  )


REGRESSOR_ERRORS = {"landmarks_px": 0.5} | {
  f"{unit}_{quantity}": 0.25
  for unit in ("au06", "au12")
  for quantity in ("mae", "icc", "correlation")
}


# ----------------------------------------------------------------------- modes

MODE_FRAMES = 32
MOUTH = list(range(48, 68))


def sequences(*openings):
  """One face [s t 68 2]; each sequence's mouth moves down by some pixels in the
  last 16 frames.
  """
  base = np.random.default_rng(0).uniform(10, 50, (68, 2))
  points = np.tile(base, (len(openings), MODE_FRAMES, 1, 1))
  for sequence, opening in zip(points, openings, strict=True):
    sequence[16:, MOUTH, 1] += opening
  return points


def numbered(start, count):
  """Landmark images [count t 64 64] with their numbers in the first pixel."""
  images = np.zeros((count, MODE_FRAMES, 64, 64), np.uint8)
  numbers = MODE_FRAMES * start + np.arange(count * MODE_FRAMES)
  images[..., 0, 0] = numbers.reshape(count, MODE_FRAMES)
  return images


@pytest.fixture
def modes(monkeypatch):
  """Two clips of one person whose mouths open by 0 and 3 pixels; a conditional
  sequence with 1 and modes with 0, 2 and 4.
  """
  originals, generated = sequences(0, 3), sequences(1, 0, 2, 4)
  monkeypatch.setattr(
    measure, "draw_landmarks", lambda clips, size: numbered(0, 2)
  )
  rise = np.linspace(0, 4, MODE_FRAMES, dtype=np.float32)
  gray = np.full((MODE_FRAMES, 64, 64, 3), 90, np.uint8)
  frames = fakes.mark(gray, 0, rise)
  clips = [
    {
      "frames": frames,
      "landmarks": points.astype(np.float32),
      "action_units": np.stack([rise, rise], axis=-1),
      "label": 0,
      "subject": "a",
    }
    for points in originals
  ]
  smiles = Smiles(
    np.stack([numbered(2, 4)] * 2), np.tile(frames, (2, 4, 1, 1, 1, 1))
  )
  test = samples.TestSamples(["posed"], clips, {"cmm_net": smiles})
  landmarks = np.concatenate([originals, generated]).reshape(-1, 68, 2)
  return measure.read(test, fakes.Extractors(landmarks)), test.by_label()


@pytest.fixture
def mode_table(modes):
  return measure.table(*modes, metrics_of(MODES))


def test_the_apd_is_the_mean_distance_of_all_pairs_of_modes(mode_table):
  row = mode_table["cmm_net"]["posed"]

  # Pairs of 0, 2, 4 differ by 2, 2 and 4, in 20 of 68 points.
  assert row["apd_last_8_mouth"].value == pytest.approx(8 / 3)
  assert row["apd_last_8"].value == pytest.approx(8 / 3 * 20 / 68)
  assert row["apd_last_8_eyes"].value == 0
  assert row["apd_first_4"].value == 0
  assert row["apd_mouth_over_face"].value == pytest.approx(68 / 20)


def test_the_apd_of_originals_is_per_person(mode_table):
  row = mode_table[ORIGINALS]["posed"]

  assert row["apd_last_8_mouth"].value == pytest.approx(3)
  assert row["apd_last_8"].clips == 1
  assert row["mouth_corner_displacement"].clips == 2


def test_the_best_mode_of_each_clip_counts(mode_table):
  row = mode_table["cmm_net"]["posed"]

  # Openings 0 and 3: the closest of 0, 2, 4 are 0 and 1 pixels away.
  assert row["fde"].value == pytest.approx(0.5 * 20 / 68)
  assert row["ade"].value == pytest.approx(0.5 * 20 / 68 / 2)  # half the frames
  assert row["mouth_corner_displacement"].value == pytest.approx(1)
  assert row["mouth_corner_displacement_of_modes"].value == pytest.approx(2)


def test_equal_frames_have_full_similarity_and_no_lpips_diversity(mode_table):
  row = mode_table["cmm_net"]["posed"]

  assert row["ssim_last_8"].value == row["ssim_last_8_nearest_mode"].value == 1
  assert row["lpips_diversity"].value == 0
  assert mode_table[STATIC]["posed"].keys() == {"ssim_last_8"}


def test_landmark_images_are_counted_before_and_after_the_vae(modes):
  originals = modes[0][ORIGINALS]
  originals.landmark_images[:, :, -8:, 0, :10] = 255  # 127 through the VAE
  generated = modes[0]["cmm_net"]
  generated.landmark_images[:, :, -8:] = 0
  generated.landmark_images[:, 0, -8:, 0, :6] = 255
  generated.landmark_images[:, 1, -8:, 0, :3] = 255

  table = measure.table(
    *modes, [m for m in metrics_of(MODES) if "pixels" in m.name]
  )

  true, found = (table[m]["posed"] for m in (ORIGINALS, "cmm_net"))
  assert true["bright_pixels"].value == 10
  assert true["bright_pixels_of_reconstruction"].value == 0
  assert true["gray_pixels_of_reconstruction"].value == 10
  assert "bright_pixels_of_reconstruction" not in found
  assert found["bright_pixels"].value == 6
  assert found["bright_pixels_of_modes"].value == 1  # 3, 0 and 0
  assert found["bright_pixels_of_faintest_mode"].value == 0


def test_the_regressors_have_no_error_where_they_give_the_labels(modes):
  errors = measure.regressor_errors(modes[0][ORIGINALS])

  assert errors["landmarks_px"] == pytest.approx(0, abs=1e-5)
  assert errors["au06_mae"] == pytest.approx(0, abs=0.01)  # 8-bit intensities
  assert errors["au12_icc"] == pytest.approx(1, abs=1e-3)

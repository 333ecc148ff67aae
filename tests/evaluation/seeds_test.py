"""Runs that differ in their seed, by hand."""

import csv
import json
import re

import numpy as np
import pytest
from absl import app
from PIL import Image

from cmm_jax.evaluation import seeds

CLIPS = [("a_1", "a"), ("a_2", "a"), ("b_1", "b"), ("c_1", "c")]


def write_run(folder, ssim, clips=CLIPS):
  """An evaluated run with one label; `ssim` has a model's values per clip."""
  evaluation = folder / "evaluation"
  evaluation.mkdir(parents=True)
  estimates = {
    model: {
      "posed": {
        "ssim": {"value": float(np.nanmean(values))},
        "fid": {"value": 10 * float(np.nanmean(values))},
      }
    }
    for model, values in ssim.items()
  }
  (evaluation / "metrics.json").write_text(json.dumps(estimates))
  with (evaluation / "per_clip.csv").open("w") as file:
    writer = csv.writer(file)
    writer.writerow(["model", "clip", "subject", "label", "ssim"])
    for model, values in ssim.items():
      for (clip, person), value in zip(clips, values, strict=True):
        text = "" if np.isnan(value) else value
        writer.writerow([model, clip, person, "posed", text])
  return str(folder)


@pytest.fixture
def runs(tmp_path):
  """Two seeds; "ours" exceeds "theirs" by 0.1 to 0.4 in every clip."""
  first = {"ours": [0.6, 0.7, 0.8, 0.9], "theirs": [0.5, 0.6, 0.6, 0.5]}
  second = {"ours": [0.4, 0.4, 0.4, 0.4], "theirs": [0.3, 0.2, 0.1, 0.0]}
  return seeds.Runs(
    tuple(
      write_run(tmp_path / str(seed), ssim)
      for seed, ssim in enumerate((first, second))
    )
  )


def test_a_difference_is_paired_by_clip_and_seed(runs):
  found = seeds.difference(runs, "ours", runs, "theirs", "posed", "ssim")

  assert found.per_seed == pytest.approx([0.2, 0.25])
  assert found.mean == pytest.approx(0.225)
  # The extremes that resampling can reach: person a or c alone, in one seed.
  low, high = found.interval
  assert 0.1 <= low < 0.225 < high < 0.401
  assert found.has_one_sign


def test_no_model_exceeds_itself(runs):
  found = seeds.difference(runs, "ours", runs, "ours", "posed", "ssim")

  assert found.mean == 0
  assert found.interval == (0, 0)
  assert not found.has_one_sign


def test_takes_of_one_person_are_resampled_together(tmp_path):
  # Person a has all of the difference; resamples without a have none.
  run = write_run(
    tmp_path / "run", {"ours": [1.0, 1.0, 0.0, 0.0], "theirs": [0.0] * 4}
  )
  runs = seeds.Runs((run, run))

  found = seeds.difference(runs, "ours", runs, "theirs", "posed", "ssim")

  assert found.mean == 0.5
  # a is missing in (2/3)^3 = 30 % of the resamples and alone in 1/27 = 3.7 %.
  assert found.interval == (0.0, 1.0)


def test_seeds_that_disagree_have_no_sign(tmp_path):
  better = {"ours": [0.9] * 4, "theirs": [0.1] * 4}
  worse = {"ours": [0.1] * 4, "theirs": [0.2] * 4}
  runs = seeds.Runs(
    (write_run(tmp_path / "0", better), write_run(tmp_path / "1", worse))
  )

  found = seeds.difference(runs, "ours", runs, "theirs", "posed", "ssim")

  assert found.per_seed == pytest.approx([0.8, -0.1])
  assert not found.has_one_sign


def test_a_metric_of_sets_of_clips_has_the_seeds_alone(runs):
  found = seeds.difference(runs, "ours", runs, "theirs", "posed", "fid")

  assert found.per_seed == pytest.approx([2.0, 2.5])
  assert found.interval is None
  assert found.has_one_sign


def test_only_clips_with_both_values_count(tmp_path):
  nan = float("nan")
  run = write_run(
    tmp_path / "run",
    {"ours": [1.0, nan, 3.0, nan], "theirs": [0.5, 0.5, nan, nan]},
  )
  runs = seeds.Runs((run, run))

  found = seeds.difference(runs, "ours", runs, "theirs", "posed", "ssim")

  assert found.mean == 0.5
  assert found.interval == (0.5, 0.5)


def test_other_runs_are_subtracted_run_by_run(runs, tmp_path):
  other = seeds.Runs(
    tuple(
      write_run(tmp_path / f"other_{seed}", {"ours": [value] * 4})
      for seed, value in enumerate((0.5, 0.1))
    )
  )

  found = seeds.difference(runs, "ours", other, "ours", "posed", "ssim")

  assert found.per_seed == pytest.approx([0.25, 0.3])
  assert seeds.difference(runs, "theirs", other, "theirs", "posed", "ssim") is (
    None
  )


def test_runs_of_other_clips_or_of_another_number_are_refused(runs, tmp_path):
  renamed = [(f"{clip}_again", person) for clip, person in CLIPS]
  ssim = {"ours": [0.5] * 4}
  other = write_run(tmp_path / "other", ssim, clips=renamed)

  with pytest.raises(ValueError, match="different clips"):
    seeds.difference(
      runs, "ours", seeds.Runs((other, other)), "ours", "posed", "ssim"
    )
  with pytest.raises(ValueError, match="2 runs cannot be paired with 1"):
    seeds.difference(
      runs, "ours", seeds.Runs((other,)), "ours", "posed", "ssim"
    )


def test_the_command_prints_means_and_differences(runs, run_command, capsys):
  status = run_command(
    "compare_seeds", *runs.folders, minus="theirs", metrics="ssim,fid"
  )

  text = capsys.readouterr().out
  assert status is None
  assert "### posed, 2 seeds" in text
  assert "| SSIM ↑ | 0.575 (0.400–0.750) | 0.350 (0.150–0.550) |" in text
  assert "| FID ↓ | +2.2 (+2.0 to +2.5 over seeds) * |" in text


def test_variants_of_the_modes_losses_have_a_figure_over_seeds(
  tmp_path, run_command, capsys
):
  runs = []
  for seed in (0, 1):
    runs.append(write_run(tmp_path / str(seed), {"cmm_net": [0.5] * 4}))
    metrics = {"apd_last_8": 0.6 + seed / 10, "ssim_last_8_nearest_mode": 0.8}
    row = {name: {"value": value} for name, value in metrics.items()}
    models = ("originals", "cmm_net", "cmm_net_as_printed")
    file = tmp_path / str(seed) / "evaluation" / "metrics.json"
    file.write_text(json.dumps({m: {"posed": row} for m in models}))
  file = tmp_path / "figure.png"

  assert run_command("compare_seeds", *runs, figure=str(file)) is None
  capsys.readouterr()

  with Image.open(file) as image:
    assert min(image.size) > 100
    colors = image.convert("RGB").getcolors(1 << 16)
  pixels = {color: number for number, color in colors}
  # The colors of both variants, filled; blends at their edges are few.
  assert pixels.get((174, 199, 232), 0) > 30  # as printed
  assert pixels.get((148, 103, 189), 0) > 30  # ours


def test_models_and_runs_are_not_subtracted_at_once(runs, run_command):
  with pytest.raises(app.UsageError, match="not both"):
    run_command(
      "compare_seeds", *runs.folders, minus="theirs", minus_runs="runs/other"
    )


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"models": "ours,hers"}, "no model 'hers' in all runs; choose from ours"),
    ({"metrics": "size"}, "no metric 'size'.*choose from ssim"),
    ({"minus": "hers"}, "no model 'hers'"),
    ({"figure": "a.png"}, "--figure needs two or more variants"),
    ({"minus_runs": "nowhere"}, "2 runs cannot be paired with 1"),
    ({"minus_runs": "nowhere,there"}, "evaluate the run first"),
  ],
)
def test_a_comparison_that_cannot_be_made_is_one_error(
  runs, run_command, change, message
):
  status = run_command("compare_seeds", *runs.folders, **change)

  assert re.match(f"error: .*{message}", status, re.DOTALL)

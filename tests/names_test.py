"""Names that the field has a standard term for are not used."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# What not to write -> the field's term.
TERMS = {
  r"nets": "model, networks",
  r"judged?": "discriminator",
  r"felt|still_judge": "fake_logits_for_generator, frozen_discriminator",
  r"obedien(t|ce)|obeyed": "label accuracy",
  r"taught": "train_set",
  r"(Point|ActionUnit)Reader|point_reader|action_unit_reader": "regressor",
  r"Instruments|Readings": "Measurements",
  r"num_drawn|drawings|drawn(?= =)": "num_sampled_frames, landmark_images",
  r"Shrink|Grow|Normalise|Unflatten": "Downsample, Upsample, BatchNorm",
  r"balanced_shares|code_distance": "sinkhorn_assignment, posterior_nll",
  r"HeldOut|held_out|STILL": "TestSamples, samples, STATIC",
  r"settle_config|trained_networks": "save_or_check_config, load_networks",
  r"optimiser|normalise\w*|colours?|grey|centre": "American spelling",
  r"sightings?|Follower": "detection cache, FaceTracker",
  r"our_works|torch_works": "jax_cases, torch_cases",
  r"embedded dataset|to_device": "rendered dataset, jax.device_put",
  r"LabelError": "ActionUnitError",
  r"tensor_files|face_points|intensities\.py": "torch_checkpoint, landmarks",
}


def text_files():
  listed = subprocess.run(
    ["git", "ls-files", "*.py", "*.md", "*.sh", "*.html", "*.toml"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  if listed.returncode:
    pytest.skip("not a git checkout")
  files = [ROOT / name for name in listed.stdout.splitlines()]
  return [f for f in files if f.exists() and f != pathlib.Path(__file__)]


@pytest.mark.parametrize("pattern", TERMS)
def test_the_fields_term_is_used(pattern):
  word = re.compile(rf"\b({pattern})\b")
  found = [
    f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
    for file in text_files()
    for number, line in enumerate(file.read_text().splitlines(), start=1)
    if word.search(line)
  ]

  assert not found, f"write {TERMS[pattern]} instead:\n" + "\n".join(found)

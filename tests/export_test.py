"""A generator as one file: the same smiles out of it, on every platform."""

import dataclasses
import hashlib
import json
import pathlib
import re

import jax
import numpy as np
import pytest

from cmm_jax import inference, stablehlo
from cmm_jax.smiles import Smiles


@pytest.fixture(scope="module")
def live(finished):
  return inference.SmileGenerator(finished.workdir)


@pytest.fixture(scope="module")
def file(finished, tmp_path_factory):
  """A file that was written."""
  out = tmp_path_factory.mktemp("exported") / "new_folder" / "smiles"
  stablehlo.write(finished.workdir, "cmm_net", out)
  return out


@pytest.fixture(scope="module")
def loaded(file):
  return stablehlo.load(file)


def examples(clips, batch):
  """Neutral faces, their points, and labels that take turns."""
  some = [clips[i] for i in range(batch)]
  faces = np.stack([clip["frames"][0] for clip in some])
  points = np.stack([clip["landmarks"][0] for clip in some])
  return faces, points, [("posed", "spontaneous")[i % 2] for i in range(batch)]


def assert_same_smiles(one, other):
  """Up to a value that rounding takes the other way."""
  assert one.sequence_names == other.sequence_names
  for first, second in (
    (one.frames, other.frames),
    (one.landmark_images, other.landmark_images),
  ):
    assert first.dtype == second.dtype == np.uint8
    assert first.shape == second.shape
    assert np.abs(first.astype(int) - second).max() <= 1


@pytest.mark.parametrize("batch", [1, 3])
def test_the_file_gives_what_the_live_generator_gives(
  live, loaded, clips, batch
):
  given = examples(clips, batch)

  assert_same_smiles(loaded.generate(*given), live.generate(*given))


def test_the_file_alone_is_enough_for_jax(file, live, clips):
  content = file.read_bytes()

  program = jax.export.deserialize(bytearray(content))

  faces, points, labels = examples(clips, 1)
  inputs = {
    "first_frame": faces,
    "first_points": points,
    "label": np.array([live.labels.index(labels[0])], np.int32),
    "strength": np.ones(1, np.float32),
  }
  made = jax.device_get(jax.jit(program.call)(inputs))
  assert_same_smiles(Smiles(**made), live.generate(faces, points, labels))


def test_the_file_is_for_all_three_platforms(loaded):
  assert set(loaded.exported.platforms) == {"cpu", "cuda", "tpu"}


@pytest.mark.parametrize("platform", stablehlo.PLATFORMS)
def test_only_a_cpu_gets_the_form_that_is_for_cpus(
  loaded, live, clips, platform
):
  # The program is told the number of its platform; with two names exchanged
  # this CPU compiles and runs what the other would.
  program, names = loaded.exported, list(loaded.exported.platforms)
  here, there = names.index("cpu"), names.index(platform)
  names[here], names[there] = names[there], names[here]
  exchanged = dataclasses.replace(program, platforms=tuple(names))
  given = examples(clips, 1)
  faces, points, labels = given
  inputs = {
    "first_frame": faces,
    "first_points": points,
    "label": np.array([live.labels.index(labels[0])], np.int32),
    "strength": np.ones(1, np.float32),
  }

  compiled = jax.jit(exchanged.call).lower(inputs).compile()

  # Only the plain form of a growing layer looks at an image with holes.
  has_plain_form = "lhs_dilate=2x2" in compiled.as_text()
  assert has_plain_form == (platform != "cpu")
  made = jax.device_get(compiled(inputs))
  assert_same_smiles(Smiles(**made), live.generate(*given))


def test_a_label_that_was_not_trained_is_refused(loaded, clips):
  faces, points, _ = examples(clips, 1)

  with pytest.raises(ValueError, match=r"'happy'; choose one of spontaneous"):
    loaded.generate(faces, points, ["happy"])


@pytest.mark.parametrize(
  ("shape", "kind", "labels"),
  [
    ((1, 128, 128, 3), np.uint8, ["posed"]),
    ((1, 64, 64, 3), np.float32, ["posed"]),
    ((1, 64, 64, 3), np.uint8, ["posed", "posed"]),
    ((0, 64, 64, 3), np.uint8, []),
  ],
)
def test_arrays_that_are_no_aligned_faces_are_refused(
  loaded, shape, kind, labels
):
  faces, points = np.zeros(shape, kind), np.zeros((shape[0], 68, 2))

  with pytest.raises(ValueError, match=r"faces must be uint8 \[\d, 64, 64"):
    loaded.generate(faces, points, labels)


@pytest.mark.parametrize("harm", ["cut", "changed", "another", "empty"])
def test_a_damaged_file_is_named_in_one_error(file, tmp_path, harm):
  content = file.read_bytes()
  middle = len(content) // 2
  bad = tmp_path / "bad"
  bad.write_bytes(
    {
      "cut": content[:middle],
      "changed": content[:middle] + b"CHANGED" + content[middle + 7 :],
      "another": b'{"labels": []}\n[1, 2]',
      "empty": b"",
    }[harm]
  )

  with pytest.raises(ValueError, match=r"bad is damaged or no exported"):
    stablehlo.load(bad)


def test_a_file_of_another_version_is_refused(file, tmp_path):
  program, _, description = file.read_bytes().rpartition(b"\n")
  about = json.loads(description)
  del about["sha256"], about["format"]
  digest = hashlib.sha256(program + json.dumps(about, sort_keys=True).encode())
  about["sha256"] = digest.hexdigest()
  old = tmp_path / "old"
  old.write_bytes(program + b"\n" + json.dumps(about).encode())

  with pytest.raises(ValueError, match="old is from another version"):
    stablehlo.load(old)


def test_a_missing_file_is_named_with_the_command_that_writes_it(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none'; write .*\n.*export"):
    stablehlo.load(tmp_path / "none")


@pytest.mark.parametrize(
  ("change", "says"),
  [
    ({"workdir": "nowhere"}, "No trained model in 'nowhere'.*train one with"),
    ({"model": "gan"}, "no model 'gan'; choose one of cmm_net"),
    ({"model": "cra_net"}, "train phase 'cra_net' first"),
    ({"out": "folder"}, "folder' is a folder: give the name of a file"),
  ],
)
def test_a_command_that_cannot_be_followed_says_so_in_one_error(
  finished, tmp_path, monkeypatch, run_command, change, says
):
  monkeypatch.chdir(tmp_path)
  pathlib.Path("folder").mkdir()
  values = {"workdir": finished.workdir, "out": "smiles"}

  status = run_command("export", **(values | change))

  assert status.startswith("error: ")
  assert re.search(says, status, re.DOTALL)
  assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def skip_tracing(monkeypatch, file, gap):
  """Spares `stablehlo.write` the tracing and the comparison."""
  monkeypatch.setattr(
    stablehlo, "serialize", lambda workdir, model: file.read_bytes()
  )
  monkeypatch.setattr(stablehlo, "max_difference", lambda one, other: gap)


def test_a_file_that_cannot_be_written_is_named(
  finished, file, tmp_path, monkeypatch
):
  skip_tracing(monkeypatch, file, 0)
  (tmp_path / "text").write_text("")

  with pytest.raises(OSError, match=r"text"):
    stablehlo.write(finished.workdir, "cmm_net", tmp_path / "text" / "smiles")


def test_a_program_that_does_something_else_is_not_written(
  finished, file, tmp_path, monkeypatch
):
  skip_tracing(monkeypatch, file, 9)
  out = tmp_path / "smiles"

  with pytest.raises(ValueError, match=r"differs from the live one by 9"):
    stablehlo.write(finished.workdir, "cmm_net", out)

  assert not out.exists()

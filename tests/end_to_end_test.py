"""All phases one after another: trained, stopped, gone on with, used."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import miniature
import numpy as np
import pytest
import skimage.data
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from cmm_jax import checkpoints, evaluate, generate, main, monitor
from cmm_jax.evaluation import diversity, quality, samples
from cmm_jax.evaluation.metrics import classifiers, regressors

PHASES = (
  "vae",
  "conditional",
  "modes",
  "translator",
  "regressors",
)


def saved(workdir, phase):
  """The newest checkpoint of a phase: step, and every array by its path."""
  folder = checkpoints.Checkpoints(workdir, phase)
  with folder as kept:
    there = kept._manager.item_metadata(kept.newest_step())
    step, *arrays = kept.restore(there["networks"], there["optimizer"])
  leaves = jax.tree_util.tree_leaves_with_path(arrays)
  return step, {jax.tree_util.keystr(k): np.asarray(v) for k, v in leaves}


def assert_same_run(one, other, phases=PHASES):
  for phase in phases:
    step, arrays = saved(one, phase)
    other_step, others = saved(other, phase)
    assert step == other_step and arrays.keys() == others.keys()
    for name, array in arrays.items():
      np.testing.assert_array_equal(array, others[name], f"{phase} {name}")


class Killed(BaseException):
  """What no one catches."""


def kill_at(monkeypatch, phase, step):
  """Lets the process "die" once the step was counted, before it is logged."""
  count = monitor.Monitor.step
  seen = []

  def dying(self, terms):
    count(self, terms)
    if phase in self._bar.desc:
      seen.append(terms)
      if len(seen) == step:
        raise Killed

  monkeypatch.setattr(monitor.Monitor, "step", dying)


def test_the_chain_trains_every_phase_to_its_last_step(finished):
  workdir = pathlib.Path(finished.workdir)

  for phase in PHASES:
    step, arrays = saved(finished.workdir, phase)
    assert step == miniature.STEPS
    assert all(np.isfinite(a).all() for a in arrays.values())
    records = monitor.read_records(workdir, phase)
    assert [r["step"] for r in records] == [1, 2, 3]
    assert all(np.isfinite(r["loss"]) for r in records)
    assert list((workdir / "tensorboard" / phase).glob("events*"))


def test_the_same_command_again_does_nothing(finished, monkeypatch):
  def never(*args):
    raise AssertionError("a finished phase was trained again")

  monkeypatch.setattr("cmm_jax.train._loop", never)
  before = {p: p.stat().st_mtime_ns for p in files_of(finished.workdir)}

  main.train_all(finished)

  assert {p: p.stat().st_mtime_ns for p in files_of(finished.workdir)} == before


def files_of(folder):
  return [p for p in pathlib.Path(folder).rglob("*") if p.is_file()]


def test_a_killed_run_goes_on_to_the_weights_of_an_unbroken_one(
  finished, config, monkeypatch
):
  with config.unlocked():
    config.train.checkpoint_every_steps = 2  # step 3 is lost
  for phase, step in (("vae", 2), ("conditional", 3), ("translator", 3)):
    with monkeypatch.context() as patch:
      kill_at(patch, phase, step)
      with pytest.raises(Killed):
        main.train_all(config)

  main.train_all(config)

  assert_same_run(config.workdir, finished.workdir)
  records = monitor.read_records(config.workdir, "translator")
  assert [r["step"] for r in records] == [1, 2, 3]


_INTERRUPTED = """
import os, signal, threading
import jax
from absl import app
from cmm_jax import main, monitor

# A shell has the commands in its background ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
enter = monitor.Monitor.__enter__

def begins(self):
  jax.monitoring.register_event_listener(compiles)
  return enter(self)

def compiles(event, **_):
  if "compile_requests" in event:  # the step's, which takes a second and more
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

monitor.Monitor.__enter__ = begins
app.run(main.main)
"""


def test_a_run_that_is_interrupted_while_it_compiles_says_how_to_go_on(
  data_dir, tmp_path
):
  command = [
    sys.executable,
    "-c",
    _INTERRUPTED,
    "--config=configs/smoke.py",
    "--config.data.name=miniature",
    f"--config.data.data_dir={data_dir}",
    f"--config.workdir={tmp_path / 'run'}",
  ]
  changes = {
    "JAX_COMPILATION_CACHE_DIR": str(tmp_path),  # nothing is compiled already
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PLATFORMS": "cpu",
  }

  done = subprocess.run(
    command,
    env=os.environ | changes,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )

  assert done.returncode == 130, done.stderr
  assert "the same command goes on" in done.stderr
  assert "Fatal" not in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def copy(finished, tmp_path):
  """The finished run's config, pointed at a copy of the run."""
  workdir = tmp_path / "copy"
  shutil.copytree(finished.workdir, workdir)
  config = finished.copy_and_resolve_references()
  config.workdir = str(workdir)
  return config.lock()


def test_a_changed_setting_is_named_and_stops_the_run(copy):
  with copy.unlocked():
    copy.model.num_modes = 5

  with pytest.raises(ValueError, match=r"model.num_modes = 3.* says 5"):
    main.train_all(copy)


def test_the_place_of_the_data_and_the_rhythm_may_change(copy, tmp_path):
  shutil.copytree(copy.data.data_dir, tmp_path / "moved")
  with copy.unlocked():
    copy.data.data_dir = str(tmp_path / "moved")
    copy.train.log_every_steps = 7

  main.train_all(copy)  # all is done, so nothing is trained


def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(copy, finished):
  folder = pathlib.Path(copy.workdir) / "checkpoints" / "regressors"
  for file in files_of(folder / "3"):
    file.write_bytes(file.read_bytes()[:5])

  with pytest.warns(UserWarning, match=r"regressors/3 cannot be read .*aside"):
    found = checkpoints.load_networks(
      copy.workdir, {"landmark_regressor": "regressors"}
    )

  assert list(found) == ["landmark_regressor"]
  assert sorted(p.name for p in folder.iterdir()) == ["2", "3.damaged"]
  main.train_all(copy)  # from step 2 on
  assert_same_run(copy.workdir, finished.workdir, ["regressors"])


def test_a_damaged_config_is_named(copy):
  file = pathlib.Path(copy.workdir) / "config.json"
  file.write_text(file.read_text()[:50])

  with pytest.raises(ValueError, match=r"config.json is damaged"):
    main.train_all(copy)


def test_a_workdir_that_is_a_file_is_refused(config, tmp_path):
  (tmp_path / "file").write_text("")
  with config.unlocked():
    config.workdir = str(tmp_path / "file")

  with pytest.raises(ValueError, match=r"cannot be written.*--config.workdir"):
    main.train_all(config)


# ------------------------------------------------------------------------- use


@pytest.fixture(scope="module")
def generator(finished):
  return generate.Generator(finished.workdir)


def test_two_faces_give_the_conditional_sequence_and_the_modes(
  generator, clips
):
  faces = np.stack([clips[i]["frames"][0] for i in (0, 1)])
  points = np.stack([clips[i]["landmarks"][0] for i in (0, 1)])

  smiles = generator(faces, points, ["posed", "spontaneous"])

  assert smiles.names == ("conditional", "mode_1", "mode_2", "mode_3")
  assert smiles.drawings.shape == (2, 4, 32, 64, 64)
  assert smiles.frames.shape == (2, 4, 32, 64, 64, 3)
  assert smiles.drawings.dtype == smiles.frames.dtype == np.uint8
  # Each face is made by itself, whatever stands beside it.
  alone = generator(faces[1:], points[1:], ["spontaneous"])
  apart = smiles.frames[1].astype(int) - alone.frames[0]
  assert np.abs(apart).max() <= 1


def test_a_label_that_was_not_trained_is_refused(generator, clips):
  face, points = clips[0]["frames"][:1], clips[0]["landmarks"][:1]

  with pytest.raises(ValueError, match="'happy'; choose one of spontaneous"):
    generator(face, points, ["happy"])


def call_generate(capsys, **values):
  """Runs the command; gives its exit status and what it said."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  status = None
  with flagsaver.flagsaver(**values):
    try:
      generate.main(["generate"])
    except SystemExit as stop:
      status = stop.code
  return status, capsys.readouterr()


def test_photos_become_videos_and_a_photo_without_a_face_stops_no_other(
  finished, tmp_path, capsys
):
  photo, blank = tmp_path / "astronaut.png", tmp_path / "blank.png"
  Image.fromarray(skimage.data.astronaut()).save(photo)
  Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(blank)

  status, said = call_generate(
    capsys,
    workdir=finished.workdir,
    image=[str(blank), str(photo)],
    label="posed",
    out=str(tmp_path / "out"),
  )

  assert "1 of 2 photos gave no videos" in status  # a text exits with 1
  assert "blank.png" in said.err
  assert not (tmp_path / "out" / "blank").exists()
  folder = tmp_path / "out" / "astronaut" / "posed"
  names = ("conditional", "mode_1", "mode_2", "mode_3")
  files = {f"{name}.{kind}" for name in names for kind in ("mp4", "gif")}
  found = {p.name: p.stat().st_size for p in folder.iterdir()}
  assert found.keys() == files | {"contact_sheet.png", "smiles.npz"}
  assert min(found.values()) > 0
  with Image.open(folder / "mode_1.gif") as gif:
    assert gif.n_frames == 32
  with np.load(folder / "smiles.npz") as arrays:
    assert arrays["frames"].shape == (4, 32, 64, 64, 3)
    assert arrays["face"].shape == (64, 64, 3)


@pytest.mark.parametrize(
  ("change", "says"),
  [
    ({"workdir": "nowhere"}, "No trained model in .*nowhere.*train one with"),
    ({"image": ["none.jpg"]}, "none.jpg"),
    ({"label": "happy"}, "label 'happy'; choose one of spontaneous, posed"),
  ],
)
def test_a_command_that_cannot_be_followed_says_so_in_one_error(
  finished, tmp_path, capsys, change, says
):
  photo = tmp_path / "grey.png"
  Image.fromarray(np.full((99, 99, 3), 128, np.uint8)).save(photo)
  values = {
    "workdir": finished.workdir,
    "image": [str(photo)],
    "label": "all",
    "out": str(tmp_path / "out"),
  }

  status, _ = call_generate(capsys, **(values | change))

  assert status.startswith("error: ")
  assert re.search(says, status, re.DOTALL)
  assert not (tmp_path / "out").exists()


def test_a_phase_that_is_not_trained_yet_is_named(copy):
  shutil.rmtree(pathlib.Path(copy.workdir) / "checkpoints" / "translator")

  with pytest.raises(FileNotFoundError, match="train phase 'translator' first"):
    generate.Generator(copy.workdir)


# ----------------------------------------------------------------- measurement


@pytest.fixture(scope="module")
def held(finished):
  """What the finished run makes of its held-out people."""
  return samples.make(finished.workdir)


@pytest.fixture(scope="module")
def varied(finished, held):
  return diversity.measure(held, regressors.Reader(finished.workdir))


def test_a_run_is_measured_on_held_out_people(held, varied):
  assert list(held.smiles) == ["cmm_net"]  # nothing else was trained
  assert {c["subject"] for c in held.clips} == {"subject_6", "subject_7"}
  assert list(held.videos) == ["originals", "neutral_repeated", "cmm_net"]
  for label in miniature.LABELS:
    row = varied.table["cmm_net"][label]
    assert row["ssim_smile"].clips == 4  # two people, two takes
    assert row["ssim_smile"].mean <= row["ssim_smile_nearest_mode"].mean + 0.1
    assert row["fde"].mean >= 0 and row["apd_smile"].mean > 0
    # Of one person's two takes an APD is one number.
    assert varied.table["originals"][label]["apd_smile"].clips == 2
    assert varied.curves[label].keys() == {
      *("true", "true, as read", "conditional", "modes")
    }
  assert varied.instruments.keys() >= {"points_px", "AU06_icc", "AU12_mae"}


def test_whatever_was_trained_is_compared_and_written(
  finished, held, varied, copy, monkeypatch
):
  # Of two frames each, for the recogniser takes its time.
  monkeypatch.setattr(quality, "_CLASSIFIED", 2)
  monkeypatch.setattr(quality, "_RECOGNISED", 2)
  monkeypatch.setattr(evaluate, "_MOST_TAUGHT", 8)
  reader = regressors.Reader(finished.workdir)
  readings = evaluate.read(finished.workdir, held, reader)
  compared = quality.compare(held, readings, classifiers.efficientnet_lite0())

  folder = evaluate.write(copy.workdir, held, varied, compared)

  models = json.loads((folder / "metrics.json").read_text())
  assert models.keys() == held.videos.keys()
  for label in miniature.LABELS:
    still = models["neutral_repeated"][label]["ssim"]
    assert still["clips"] == 4 and -1 <= still["low"] <= still["mean"] <= 1
    assert "ssim" not in models["originals"][label]
    score = models["originals"][label]["inception_score"]
    assert 1 <= score["low"] <= score["mean"] <= score["high"]
    made = models["cmm_net"][label]
    assert made["au06_distance"]["mean"] >= 0
    assert {"apd_smile", "ade", "agreement", "lpips"} <= made.keys()
  details = json.loads((folder / "details.json").read_text())
  assert details["network"] == "EfficientNet-Lite0"
  assert details["curves"]["posed"].keys() == held.videos.keys()
  text = (folder / "tables.md").read_text()
  assert "| CMM-Net |" in text and "EfficientNet-Lite0" in text
  assert r"\midrule" in (folder / "tables.tex").read_text()
  rows = (folder / "videos" / "clips.csv").read_text().splitlines()
  assert rows[0] == "clip,subject,label" and len(rows) == 9
  for row in rows[1:]:
    for model in held.videos:
      clip = row.split(",")[0]
      assert (folder / "videos" / model / f"{clip}.mp4").stat().st_size > 0
  found = {file.stem for file in folder.glob("*.png")}
  assert found == {
    *("figure_4", "figure_5", "figure_6_posed", "figure_6_spontaneous"),
    *("figure_7_posed", "figure_7_spontaneous", "figure_8"),
  }
  for file in folder.glob("*.png"):
    with Image.open(file) as picture:
      assert min(picture.size) > 100

  # OpenFace's tables of these very videos take the reader's place.
  tables = folder / "openface"
  for model in held.videos:
    for row in rows[1:]:
      table = tables / model / f"{row.split(',')[0]}.csv"
      table.parent.mkdir(parents=True, exist_ok=True)
      lines = [f"{t + 1}, 0.9, 1, 1.5, {t / 10}" for t in range(32)]
      head = "frame, confidence, success, AU06_r, AU12_r"
      table.write_text("\n".join([head, *lines]))
  by_openface = evaluate.read(copy.workdir, held, reader, str(tables))
  assert by_openface.source == "OpenFace"
  for model, curves in by_openface.moved.items():  # the judge's stay ours
    np.testing.assert_array_equal(curves, readings.moved[model])
  for units in by_openface.units.values():
    np.testing.assert_allclose(units[..., 0], 1.5)
    np.testing.assert_allclose(units[3, :, 1], np.arange(32) / 10, rtol=1e-6)
  (tables / "cmm_net" / f"{rows[1].split(',')[0]}.csv").unlink()
  with pytest.raises(FileNotFoundError, match=r"openface/cmm_net/.*\.csv"):
    evaluate.read(copy.workdir, held, reader, str(tables))


def test_the_readers_take_any_number_of_pictures(finished, monkeypatch):
  monkeypatch.setattr(regressors, "_AT_ONCE", 4)
  reader = regressors.Reader(finished.workdir)
  random = np.random.default_rng(0)
  drawings = random.integers(0, 256, (2, 3, 64, 64), np.uint8)
  faces = random.integers(0, 256, (2, 3, 64, 64, 3), np.uint8)

  points = reader.points(drawings)
  units = reader.action_units(faces, faces[:, 0])

  assert points.shape == (2, 3, 68, 2) and units.shape == (2, 3, 2)
  np.testing.assert_allclose(  # 6 pictures in parts of 4 and 2, or alone
    points[1, 2], reader.points(drawings[1, 2][None])[0], atol=1e-3
  )
  alone = reader.action_units(faces[1, 2:], faces[1, 0])
  np.testing.assert_allclose(units[1, 2], alone[0], atol=1e-4)

"""All phases one after another: trained, stopped, gone on with, used."""

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
from PIL import Image

import cmm_jax
from cmm_jax import checkpoints, inference, main, monitor

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
  add = monitor.Monitor.add
  seen = []

  def dying(self, metrics, count=1):
    add(self, metrics, count)
    if phase in self._bar.desc:
      seen.append(metrics)
      if len(seen) == step:
        raise Killed

  monkeypatch.setattr(monitor.Monitor, "add", dying)


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

  monkeypatch.setattr("cmm_jax.train._run_steps", never)
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
  assert "the same command resumes" in done.stderr
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
  return inference.SmileGenerator(finished.workdir)


def test_two_faces_give_the_conditional_sequence_and_the_modes(
  generator, clips
):
  faces = np.stack([clips[i]["frames"][0] for i in (0, 1)])
  points = np.stack([clips[i]["landmarks"][0] for i in (0, 1)])

  smiles = generator.generate(faces, points, ["posed", "spontaneous"])

  assert smiles.sequence_names == ("conditional", "mode_1", "mode_2", "mode_3")
  assert smiles.landmark_images.shape == (2, 4, 32, 64, 64)
  assert smiles.frames.shape == (2, 4, 32, 64, 64, 3)
  assert smiles.landmark_images.dtype == smiles.frames.dtype == np.uint8
  # Each face is made by itself, whatever stands beside it.
  alone = generator.generate(faces[1:], points[1:], ["spontaneous"])
  apart = smiles.frames[1].astype(int) - alone.frames[0]
  assert np.abs(apart).max() <= 1


def test_the_api_saves_the_smiles_of_photos_and_of_arrays(finished, tmp_path):
  astronaut = skimage.data.astronaut()
  photo = tmp_path / "astronaut.png"
  Image.fromarray(astronaut).save(photo)
  generator = cmm_jax.load(finished.workdir)

  one = generator(photo, label="posed")
  two = generator([photo, astronaut], label="posed")
  one.save(tmp_path / "one")
  two.save(tmp_path / "two")

  assert len(one) == 1 and len(two) == 2
  for smiles in (two[0], two[1]):
    apart = smiles.frames.astype(int) - one.frames
    assert np.abs(apart).max() <= 1
  assert (tmp_path / "one" / "mode_3.mp4").exists()
  folders = {p.name for p in (tmp_path / "two").iterdir()}
  assert folders == {"astronaut", "photo_2"}
  assert (tmp_path / "two" / "photo_2" / "contact_sheet.png").exists()


def test_what_is_no_run_no_file_and_no_photo_is_named(generator):
  with pytest.raises(FileNotFoundError, match=r"No run and no .*'none'.*train"):
    cmm_jax.load("none")
  with pytest.raises(ValueError, match="A photo is a int; give a path"):
    generator(3, label="posed")


def test_importing_the_package_imports_no_jax():
  code = "import sys, cmm_jax; cmm_jax.load; print('jax' in sys.modules)"
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )

  assert done.stdout.strip() == "False"


def test_a_run_of_an_earlier_version_is_refused_with_one_sentence(copy):
  file = pathlib.Path(copy.workdir) / "config.json"
  content = file.read_text()
  file.write_text(content.replace("translator_output", "from_neutral"))

  with pytest.raises(ValueError, match=r"an earlier version .* again in"):
    inference.SmileGenerator(copy.workdir)


def test_a_label_that_was_not_trained_is_refused(generator, clips):
  face, points = clips[0]["frames"][:1], clips[0]["landmarks"][:1]

  with pytest.raises(ValueError, match="'happy'; choose one of spontaneous"):
    generator.generate(face, points, ["happy"])


def test_photos_become_videos_and_a_photo_without_a_face_stops_no_other(
  finished, tmp_path, run_command, capsys
):
  photo, blank = tmp_path / "astronaut.png", tmp_path / "blank.png"
  Image.fromarray(skimage.data.astronaut()).save(photo)
  Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(blank)

  status = run_command(
    "generate",
    workdir=finished.workdir,
    image=[str(blank), str(photo)],
    label="posed",
    out=str(tmp_path / "out"),
  )

  assert "1 of 2 photos gave no videos" in status  # a text exits with 1
  assert "blank.png" in capsys.readouterr().err
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
  finished, tmp_path, run_command, change, says
):
  photo = tmp_path / "gray.png"
  Image.fromarray(np.full((99, 99, 3), 128, np.uint8)).save(photo)
  values = {
    "workdir": finished.workdir,
    "image": [str(photo)],
    "label": "all",
    "out": str(tmp_path / "out"),
  }

  status = run_command("generate", **(values | change))

  assert status.startswith("error: ")
  assert re.search(says, status, re.DOTALL)
  assert not (tmp_path / "out").exists()


def test_a_phase_that_is_not_trained_yet_is_named(copy):
  shutil.rmtree(pathlib.Path(copy.workdir) / "checkpoints" / "translator")

  with pytest.raises(FileNotFoundError, match="train phase 'translator' first"):
    inference.SmileGenerator(copy.workdir)

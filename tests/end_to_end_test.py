"""All phases one after another: trained, stopped, gone on with, used."""

import os
import pathlib
import shutil
import subprocess
import sys

import jax
import miniature
import numpy as np
import pytest

from cmm_jax import checkpoints, main, monitor, preemption

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
  files = pathlib.Path(folder).rglob("*")
  return [p for p in files if p.is_file() and p.name != ".in_use"]


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


_PREEMPTED = """
import os, signal, time
from absl import app
from cmm_jax import main, monitor

add = monitor.Monitor.add

def after_a_step(self, metrics, count=1):
  add(self, metrics, count)
  if self.step_of_test == 2:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)  # until it has arrived
  self.step_of_test += 1

monitor.Monitor.step_of_test = 1
monitor.Monitor.add = after_a_step
app.run(main.main)
"""


def test_sigterm_saves_the_step_under_way_and_asks_for_a_restart(
  data_dir, tmp_path, finished
):
  arguments = [
    "--config=configs/smoke.py",
    "--config.data.name=miniature",
    f"--config.data.data_dir={data_dir}",
    f"--config.workdir={tmp_path / 'run'}",
    f"--config.phases.vae.epochs={finished.phases.vae.epochs}",
    "--config.train.log_every_steps=1",
    "--config.train.checkpoint_every_steps=100",
  ]
  changes = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": os.environ["XLA_FLAGS"],
  }

  done = subprocess.run(
    [sys.executable, "-c", _PREEMPTED, *arguments],
    env=os.environ | changes,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )

  assert done.returncode == preemption.EXIT_CODE, done.stderr
  assert "Stopped by SIGTERM after step 2 of phase vae" in done.stderr
  assert "Traceback" not in done.stderr
  folder = tmp_path / "run" / "checkpoints" / "vae"
  assert [p.name for p in folder.iterdir()] == ["2"]


_COMPILING = """
import time
from cmm_jax import preemption

preemption._GRACE_SECONDS = 0.5
with preemption.watch():
  print("ready", flush=True)
  time.sleep(60)
"""


def test_sigterm_ends_a_process_that_comes_to_no_step():
  process = subprocess.Popen(
    [sys.executable, "-c", _COMPILING],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "ready\n"

  process.terminate()
  _, errors = process.communicate(timeout=20)

  assert process.returncode == preemption.EXIT_CODE
  assert "the last checkpoint stands" in errors


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

  with pytest.warns(UserWarning, match=r"regressors/3 cannot be used .*aside"):
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

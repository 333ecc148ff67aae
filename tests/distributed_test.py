"""Two processes with four devices each, and one with eight."""

import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
from end_to_end_test import saved

from cmm_jax import distributed, monitor, preemption

# Trains, and sends itself a signal after a step: "vae 3 SIGKILL". It is killed
# once the step before is saved: checkpoints are written beside the training.
_TRAIN = """
import os, pathlib, signal, sys, time
from absl import app
from cmm_jax import distributed, main, monitor

phase, step, name = sys.argv.pop(1).split()
add = monitor.Monitor.add

def after_a_step(self, metrics, count=1):
  add(self, metrics, count)
  self.step_of_test += 1
  if phase == self.phase and self.step_of_test == int(step):
    if name == "SIGKILL":
      wait_for(checkpoints / phase / str(int(step) - 1))
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(0.5)  # until it has arrived

def wait_for(folder):
  for _ in range(600):
    if folder.is_dir():
      return
    time.sleep(0.1)
  raise TimeoutError(folder)

(workdir,) = [a for a in sys.argv if a.startswith("--config.workdir=")]
checkpoints = pathlib.Path(workdir.partition("=")[2], "checkpoints")
monitor.Monitor.step_of_test = 0
monitor.Monitor.add = after_a_step
distributed.HEARTBEAT_SECONDS = 5
app.run(main.main)
"""


def train_in_two_processes(workdir, data_dir, finished, *, signals, **settings):
  """Trains; `signals` says which process gets which signal after which step."""
  with socket.socket() as free:
    free.bind(("localhost", 0))
    address = f"localhost:{free.getsockname()[1]}"
  phases = finished.phases
  flags = [
    "--config=configs/smoke.py",
    "--config.data.name=miniature",
    f"--config.data.data_dir={data_dir}",
    f"--config.workdir={workdir}",
    f"--config.phases.vae.epochs={phases.vae.epochs}",
    f"--config.phases.conditional.epochs={phases.conditional.epochs}",
    "--config.train.log_every_steps=1",
    f"--coordinator_address={address}",
    "--num_processes=2",
    *(f"--config.train.{name}={value}" for name, value in settings.items()),
  ]
  devices = os.environ["XLA_FLAGS"].replace("count=8", "count=4")
  environment = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": devices,
  }
  processes = [
    subprocess.Popen(
      [
        sys.executable,
        "-c",
        _TRAIN,
        signals.get(number, "nothing 0 SIGTERM"),
        *flags,
        f"--process_id={number}",
      ],
      env=os.environ | environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for number in (0, 1)
  ]
  try:
    outputs = [process.communicate(timeout=150) for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [p.returncode for p in processes], outputs


def _stop(errors):
  """The step and the phase at which a process says that SIGTERM stopped it."""
  assert "Traceback" not in errors
  pattern = (
    r"Stopped by SIGTERM after step (\d+) of phase (\w+), which is saved"
  )
  return re.search(pattern, errors).groups()


def test_two_processes_train_as_one_and_resume_after_loss_and_damage(
  data_dir, finished, tmp_path
):
  workdir = tmp_path / "run"

  codes, outputs = train_in_two_processes(
    workdir,
    data_dir,
    finished,
    signals={1: "vae 3 SIGKILL"},
    checkpoint_every_steps=1,
  )

  errors = outputs[0][1]
  assert codes == [preemption.EXIT_CODE, -9], errors
  assert "one of which has stopped" in errors.replace("\n", " ")
  assert "same command; training resumes" in errors

  folder = workdir / "checkpoints" / "vae"
  for file in (folder / "2" / "networks").rglob("*"):
    if file.is_file():
      file.write_bytes(file.read_bytes()[:5])
  codes, outputs = train_in_two_processes(
    workdir,
    data_dir,
    finished,
    signals={1: "vae 2 SIGTERM"},
    checkpoint_every_steps=100,
    placement="stream",
  )

  assert codes == [preemption.EXIT_CODE] * 2, outputs
  # Which step is agreed on depends on when the signal is heard of.
  (stop,) = {_stop(errors) for _, errors in outputs}
  step, phase = stop
  assert (workdir / "checkpoints" / phase / step).is_dir()
  assert "Phase vae goes on after step 1" in outputs[0][0]
  assert (folder / "2.damaged").is_dir()
  assert "Phase" not in outputs[1][0]
  records = monitor.read_records(workdir, "vae")
  assert [record["step"] for record in records] == [1, 2, 3]
  last_step, arrays = saved(str(workdir), "vae")
  expected_step, expected = saved(finished.workdir, "vae")
  assert last_step == expected_step and arrays.keys() == expected.keys()
  for name, array in arrays.items():
    np.testing.assert_allclose(
      array, expected[name], rtol=1e-3, atol=1e-4, err_msg=name
    )
  assert len(list((workdir / "tensorboard" / "vae").iterdir())) == 2


@pytest.mark.parametrize(
  ("environment", "several"),
  [
    ({}, False),
    ({"JAX_COORDINATOR_ADDRESS": "host:1234"}, True),
    ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}, True),
    ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, False),
    ({"SLURM_NTASKS": "8"}, False),  # the batch script, not a task of srun
    ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),  # any pod has it
  ],
)
def test_the_environment_says_whether_there_are_other_processes(
  environment, several
):
  assert distributed.is_requested(environment) == several


def test_flags_that_go_together_are_asked_for_together():
  with pytest.raises(ValueError, match=r"--process_id go together.*None"):
    distributed.initialize("localhost:1234", 2)

"""Trains every phase that is not trained yet.

python -m cmm_jax.main --config=configs/nemo.py

The same command resumes an interrupted run; SIGTERM saves the step under way
first and exits with 75. The paper's baselines are trained
with --config.train.model=video_gan,cra_net instead of CMM-Net, the ablation of
the modes' losses with --config.train.model=mode_loss_variants.
"""

import contextlib
import os
import re
import sys
import threading

from absl import app, flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "The run's settings, a file in configs/.", lock_config=True
)
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  None,
  "Train in several processes that JAX finds by itself: for TPU pods. By "
  "default if SLURM, Open MPI, Kubernetes or JAX_COORDINATOR_ADDRESS say so.",
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator_address", None, "Host and port of process 0, for --process_id."
)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "How many processes train together."
)
_PROCESS_ID = flags.DEFINE_integer(
  "process_id", None, "The number of this process, from 0."
)


def main(argv: list[str]) -> None:
  """Trains; reports a user's mistakes in one line."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  from cmm_jax import distributed, preemption

  try:
    with preemption.watch():
      _join_others()
      train_all(_CONFIG.value)
  except preemption.PreemptedError as stop:
    print(stop, file=sys.stderr)
    if distributed.is_alone():  # the others wait for an orderly shutdown
      _leave_at_once(preemption.EXIT_CODE)
    sys.exit(preemption.EXIT_CODE)
  except (FloatingPointError, OSError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    _leave_at_once(1)
  except KeyboardInterrupt:
    print(
      "Stopped; the same command resumes from the last checkpoint.",
      file=sys.stderr,
    )
    _leave_at_once(130)


def _join_others():
  """Connects to the other processes, if there are any."""
  from cmm_jax import distributed, runtime

  runtime.configure()
  given = _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
  wanted = _DISTRIBUTED.value
  if wanted is None:
    wanted = given != (None, None, None) or distributed.is_requested(os.environ)
  if wanted:
    distributed.initialize(*given)


def train_all(config) -> None:
  """Trains the models' phases in order and skips those that are done."""
  from cmm_jax import (
    config_check,
    distributed,
    programs,
    run_config,
    runtime,
    train,
  )
  from cmm_jax.data.clips import Clips
  from cmm_jax.models import registry

  config_check.check(config)
  runtime.configure()
  clips = Clips(config.data.data_dir, config.data.name, "train")
  clips.check_size(config.data.num_frames, config.data.image_size)
  models = [
    registry.build(config, len(clips.labels), name)
    for name in registry.parse_names(config.train.model)
  ]
  phases = [model.phases(config) for model in models]
  train.check(zip(models, phases, strict=True), config, clips)
  # The first process saves the config before the others compare theirs.
  if not distributed.is_main_process():
    distributed.wait_for_all("config")
  run_config.save_or_check_config(config.workdir, config, clips.labels)
  if distributed.is_main_process():
    distributed.wait_for_all("config")
  work = [
    (phase, model, config, clips)
    for model, its_phases in zip(models, phases, strict=True)
    for phase in its_phases
  ]
  with _lock(config.workdir):
    ahead = {}
    if programs.compiles_ahead():
      todo = [arguments for arguments in work if not train.is_done(*arguments)]
      ahead = _compile_ahead(todo[1:])
    for phase, *arguments in work:
      if phase.checkpoint_name in ahead:
        ahead[phase.checkpoint_name].join()
      train.run(phase, *arguments)


def _compile_ahead(work):
  """Starts a thread for each phase, which compiles for it.

  An error is left for the phase itself to report.

  Returns:
    The threads by the phases' checkpoints' names.
  """
  from cmm_jax import programs

  def compile_quietly(*arguments):
    with contextlib.suppress(Exception):
      programs.compile_ahead(*arguments)

  threads = {}
  for phase, *arguments in work:
    thread = threading.Thread(
      target=compile_quietly, args=(phase, *arguments), daemon=True
    )
    thread.start()
    threads[phase.checkpoint_name] = thread
  return threads


def _lock(workdir):
  """Keeps other commands from training in the folder."""
  from cmm_jax import distributed, folder_lock

  if distributed.is_main_process():
    return folder_lock.hold(workdir)
  return contextlib.nullcontext()


def parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags; reports a user's mistakes in one line.

  Settings that do not exist are named before the config's file is run.
  """
  from cmm_jax import config_check

  settings = [
    match[1]
    for argument in argv[1:]
    if (match := re.match(r"--?(?:no)?config\.([^=]+)", argument))
  ]
  if found := [
    config_check.unknown(name)
    for name in settings
    if name not in config_check.SETTINGS
  ]:
    sys.exit(f"error:{config_check.listed(found)}")
  try:
    rest = app.parse_flags_with_usage(argv)
    _CONFIG.value.workdir  # noqa: B018 (raises what loading the file raised)
  except Exception as error:  # whatever a config's Python raises
    cause = error
    while cause.__cause__ or cause.__context__:
      cause = cause.__cause__ or cause.__context__
    reason = (str(cause) or type(cause).__name__).splitlines()[0]
    given = [a for a in argv[1:] if re.match(r"--?config(=|$)", a)]
    sys.exit(
      f"error: {' '.join(given)} cannot be used: {reason}; give a file in "
      "configs/, or a copy of one."
    )
  return rest


def _leave_at_once(code):
  """Ends the process without an orderly shutdown of the interpreter.

  XLA may be compiling in a thread of its own, which would crash meanwhile, and
  the other processes of a run would be waited for.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


if __name__ == "__main__":
  flags.mark_flag_as_required("config")
  app.run(main, flags_parser=parse_flags)

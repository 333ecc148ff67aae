"""Training in several processes: TPU pods, SLURM, Kubernetes.

All processes run the same program on all of their devices together; the first
one writes what a run writes. They share the run's folder and the data's.
"""

import ctypes
import itertools
import os
import signal
import threading
from collections.abc import Mapping

import jax
from jax.experimental import multihost_utils

from cmm_jax import preemption

# A peer that has been silent for this long is gone.
HEARTBEAT_SECONDS = 30

_calls = itertools.count()  # of `stop_requested`
_stop = threading.Event()

_LOST = (
  "error: this process cannot go on without the others of this run, one of "
  "which has stopped or was never reached (see above, and its own log). Start "
  "all of them again with the same command; training resumes from the last "
  "checkpoint.\n"
)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _explain_abort(_):
  os.write(2, _LOST.encode())
  os._exit(preemption.EXIT_CODE)


def is_requested(environment: Mapping[str, str]) -> bool:
  """Whether environment variables say that this is one of several processes.

  They are JAX's own, SLURM's (of a step that `srun` started), Open MPI's, GKE's
  for TPUs, and those of an indexed Kubernetes job. A TPU VM outside Kubernetes
  has none, and asks for it by a flag.
  """

  def number(name):
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else 0

  return (
    "JAX_COORDINATOR_ADDRESS" in environment
    or ("SLURM_PROCID" in environment and number("SLURM_STEP_NUM_TASKS") > 1)
    or number("OMPI_COMM_WORLD_SIZE") > 1
    or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
    or {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= environment.keys()
  )


def initialize(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Connects this process to the others, before JAX starts its backend.

  A process whose peers are gone ends with `preemption.EXIT_CODE` instead of
  JAX's abort.

  Args:
    coordinator_address: "host:port" of process 0; found by JAX where a cluster
      says so, as are the other two.
    num_processes: how many there are.
    process_id: this one's number.

  Raises:
    ValueError: not all that is needed was given or found.
  """
  given = (coordinator_address, num_processes, process_id)
  if None in given and given != (None, None, None):
    raise ValueError(
      "--coordinator_address, --num_processes and --process_id go together; "
      f"found {', '.join(map(str, given))}."
    )
  # JAX ends a process whose peers are gone by LOG(FATAL), from a thread of its
  # own, which no exception in Python can replace.
  libc = ctypes.CDLL(None)
  libc.signal.restype = ctypes.c_void_p
  libc.signal(signal.SIGABRT, _explain_abort)
  try:
    jax.distributed.initialize(
      *given, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
    )
  except (KeyError, RuntimeError, TypeError, ValueError) as error:
    raise ValueError(
      f"The other processes of this run cannot be found ({error}); name them "
      "with --coordinator_address=HOST:PORT --num_processes=N --process_id=I."
    ) from error


def is_main_process() -> bool:
  """Whether this process writes the run's config, logs and pictures."""
  return jax.process_index() == 0


def is_alone() -> bool:
  """Whether there are no other processes."""
  return jax.process_count() == 1


def wait_for_all(name: str) -> None:
  """Waits until all processes have come to the same call."""
  if not is_alone():
    multihost_utils.sync_global_devices(name)


def stop_requested() -> bool:
  """Whether to save the step and stop, because of SIGTERM.

  With several processes every one asks after each dispatch; all are told to
  stop after the same one, whichever of them the signal reached.
  """
  if is_alone():
    return preemption.requested()
  # Phases count their steps from 1, so the calls are counted here.
  if not _stop.is_set() and multihost_utils.reached_preemption_sync_point(
    next(_calls)
  ):
    _stop.set()
  return _stop.is_set()

"""What a process configures once, for the machine that it runs on."""

import ctypes
import functools
import os
import sys
import warnings

import jax
import jax.numpy as jnp
from absl import logging

# mallopt's names, from malloc.h
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


@functools.cache  # once per process
def configure() -> None:
  """Configures the process of a command, before JAX starts.

  Large buffers are reused within a run. Orbax's messages about every checkpoint
  are silenced: what it cannot do, it raises, and the log would show each error
  several times, with the frames of its threads. Compiled programs are cached.
  """
  if sys.platform.startswith("linux"):
    _keep_memory()
  logging.set_verbosity(logging.FATAL)
  sys.unraisablehook = _show_unraisable
  warnings.filterwarnings("ignore", message="Sharding info not provided")
  cache_programs()
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  # Asynchronous dispatch allocates a step's temporaries before the last step's
  # are freed: up to twice the memory, and on a CPU it saves no time.
  jax.config.update("jax_cpu_enable_async_dispatch", False)


def _show_unraisable(unraisable) -> None:
  """Leaves out what Orbax's closed event loops make TensorStore complain of.

  After a write or a read that failed, whose error is raised, each further one
  that was under way would print a traceback.
  """
  if str(unraisable.exc_value) != "Event loop is closed":
    sys.__unraisablehook__(unraisable)


def cache_programs() -> None:
  """Caches compiled programs between runs, unless the user has set a cache."""
  if not jax.config.jax_compilation_cache_dir:
    home = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    folder = os.path.join(home, "cmm_jax", "xla")
    jax.config.update("jax_compilation_cache_dir", folder)


def _keep_memory():
  """Makes glibc reuse large buffers instead of returning them to the system.

  Buffers over 32 MiB are otherwise mapped, faulted in and unmapped at each use,
  which costs 15 to 25 % of a training step. Threads that exist already are not
  affected, so this must run before JAX's backend starts.
  """
  try:
    libc = ctypes.CDLL("libc.so.6")
    mallopt, trim = libc.mallopt, libc.malloc_trim
  except (OSError, AttributeError):  # another C library: only slower
    return
  mallopt(_MMAP_MAX, 0)
  mallopt(_TRIM_THRESHOLD, -1)
  mallopt(_ARENA_MAX, 1)

  def trim_after_compilation(event: str, duration: float, **_) -> None:
    """Returns what a compilation used: it is not needed again."""
    if "backend_compile" in event and duration > 0.1:  # seconds
      trim(0)

  jax.monitoring.register_event_duration_secs_listener(trim_after_compilation)


def has_fast_bfloat16() -> bool:
  """Whether the default device computes faster in bfloat16 than in float32.

  True for TPUs and for Nvidia GPUs from Ampere on.
  """
  device = jax.devices()[0]
  if device.platform == "gpu":
    try:
      return float(device.compute_capability) >= 8
    except (AttributeError, ValueError):  # not Nvidia's
      return False
  return device.platform == "tpu"


# By platform. On a CPU: library kernels for matrix products and reductions. The
# option replaces a default that holds the latter; without it the sums of a
# BatchNorm take 15 times as long. On a GPU: without XLA's fusion of products
# into Triton kernels, which aborts the process at small sizes (jaxlib 0.11.2);
# and with deterministic operations alone, of which XLA takes the first that
# cuDNN and cuBLAS offer instead of measuring all. Programs compiled sooner on
# an H200 than without it on an H100, with steps no slower (docs/results.md).
_COMPILER_OPTIONS = {
  "cpu": {
    "xla_cpu_experimental_ynn_fusion_type": (
      "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
  },
  "gpu": {
    "xla_gpu_enable_triton_gemm": False,
    "xla_gpu_exclude_nondeterministic_ops": True,
  },
}


@functools.cache
def compiler_options(platform: str | None = None) -> dict[str, str | bool]:
  """Options for `jax.jit` on a platform, by default the backend's.

  Options that this version of XLA does not know are left out.
  """
  backend = jax.default_backend()
  options = _COMPILER_OPTIONS.get(platform or backend, {})
  if options and (platform or backend) == backend:
    try:
      jax.jit(lambda a: a @ a, compiler_options=options)(jnp.ones((8, 8)))
    except Exception:  # an unknown option's error has no class of its own
      return {}
  return options

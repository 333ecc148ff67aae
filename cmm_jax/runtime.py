"""What a process sets once for the machine that it runs on."""

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


def configure() -> None:
  """Keeps compiled programs between runs and large buffers within a run.

  Also quietens Orbax, which says a dozen things about every checkpoint; its
  errors still come.
  """
  if sys.platform.startswith("linux"):
    _keep_memory()
  logging.set_verbosity(logging.ERROR)
  warnings.filterwarnings("ignore", message="Sharding info not provided")
  if not jax.config.jax_compilation_cache_dir:
    home = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    folder = os.path.join(home, "cmm_jax", "xla")
    jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  # Dispatched asynchronously, a step is given its temporaries before those of
  # the last are freed: up to twice the memory, and on a CPU no time is gained.
  jax.config.update("jax_cpu_enable_async_dispatch", False)


def _keep_memory():
  """Has the process keep what programs free, and hand it out again.

  Buffers over 32 MiB are otherwise mapped, faulted in and unmapped at each use,
  which costs 15 to 25 % of a training step. Threads that are there already
  would go on as before, so no backend may have been asked for.
  """
  try:
    libc = ctypes.CDLL("libc.so.6")
    mallopt, trim = libc.mallopt, libc.malloc_trim
  except (OSError, AttributeError):  # another C library: only slower
    return
  mallopt(_MMAP_MAX, 0)
  mallopt(_TRIM_THRESHOLD, -1)
  mallopt(_ARENA_MAX, 1)

  def give_back(event: str, duration: float, **_) -> None:
    """What it took to compile a program, or to load it, is of no more use."""
    if "backend_compile" in event and duration > 0.1:  # seconds
      trim(0)

  jax.monitoring.register_event_duration_secs_listener(give_back)


def has_fast_bfloat16() -> bool:
  """Whether the default device computes faster in bfloat16 than in float32.

  True for TPUs and for Nvidia GPUs from Ampere on.
  """
  device = jax.devices()[0]
  if device.platform == "gpu":
    return float(getattr(device, "compute_capability", 0)) >= 8
  return device.platform == "tpu"


# A library's kernels for products, and for sums, which have them by default:
# the option replaces that default, and without "REDUCE" the sums of a BatchNorm
# take 15 times as long.
_LIBRARY_FUSIONS = "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"


@functools.cache
def compiler_options(platform: str | None = None) -> dict[str, str]:
  """Options for `jax.jit` that bring a CPU's convolutions near its peak.

  Empty where the platform to compile for, by default the backend's, is another
  or this version of XLA does not know them.
  """
  if (platform or jax.default_backend()) != "cpu":
    return {}
  options = {"xla_cpu_experimental_ynn_fusion_type": _LIBRARY_FUSIONS}
  try:
    jax.jit(lambda a: a @ a, compiler_options=options)(jnp.ones((8, 8)))
  except Exception:  # an unknown option's error has no class of its own
    return {}
  return options

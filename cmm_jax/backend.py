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


def prepare() -> None:
  """Keeps compiled programs between runs and large buffers within a run.

  Also quietens Orbax, which says a dozen things about every checkpoint; its
  errors still come.
  """
  logging.set_verbosity(logging.ERROR)
  warnings.filterwarnings("ignore", message="Sharding info not provided")
  if not jax.config.jax_compilation_cache_dir:
    home = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    folder = os.path.join(home, "cmm_jax", "xla")
    jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  if sys.platform.startswith("linux") and jax.default_backend() == "cpu":
    # Buffers over 32 MiB are otherwise mapped, faulted in and unmapped at each
    # use, which costs 15 to 25 % of a training step.
    try:
      mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library: only slower
      return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_ARENA_MAX, 1)


@functools.cache
def compiler_options() -> dict[str, str]:
  """Options for `jax.jit` that bring a CPU's convolutions near its peak.

  Empty where the backend is none or this version of XLA does not know them.
  """
  if jax.default_backend() != "cpu":
    return {}
  options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
  try:
    jax.jit(lambda a: a @ a, compiler_options=options)(jnp.ones((8, 8)))
  except Exception:  # an unknown option's error has no class of its own
    return {}
  return options

"""What a process sets once: here, that it keeps its memory."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource
from cmm_jax import backend
if {prepared}:
  backend.prepare()
import jax
import jax.numpy as jnp

@jax.jit
def work(x):
  return jax.lax.optimization_barrier(jnp.tile(x, 12)).sum()  # 48 MiB between

x = jnp.ones(2**20)
for _ in range(2):
  work(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(prepared: bool) -> int:
  """Pages of memory that a program is given anew when it runs again."""
  code = _FAULTS.format(prepared=prepared)
  command = [sys.executable, "-c", code]
  return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_large_buffers_are_kept_between_steps():
  assert faults(prepared=False) > 10_000, "nothing to keep"
  assert faults(prepared=True) < 1000

"""What a process sets once: here, what it does with memory."""

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

_READY = """
from cmm_jax import backend
if {prepared}:
  backend.prepare()
import jax
import jax.numpy as jnp

x = jnp.ones((2000, 2000))
print(int(jax.jit(lambda x: x @ x @ x)(x).is_ready()))
"""


def output(program: str, prepared: bool) -> int:
  """The number that a process of its own prints."""
  code = program.format(prepared=prepared)
  command = [sys.executable, "-c", code]
  return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_large_buffers_are_kept_between_steps():
  # Pages of memory that a program is given anew when it runs again.
  assert output(_FAULTS, prepared=False) > 10_000, "nothing to keep"
  assert output(_FAULTS, prepared=True) < 1000


def test_a_step_is_over_when_its_call_returns():
  # So that the temporaries of two are never in memory together.
  assert not output(_READY, prepared=False), "nothing to see to"
  assert output(_READY, prepared=True)

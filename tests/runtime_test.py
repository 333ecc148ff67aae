"""What a process configures once."""

import subprocess
import sys

_READY = """
from cmm_jax import runtime
if {configured}:
  runtime.configure()
import jax
import jax.numpy as jnp

x = jnp.ones((2000, 2000))
print(int(jax.jit(lambda x: x @ x @ x)(x).is_ready()))
"""


def output(program: str, configured: bool) -> int:
  """The number that a process of its own prints."""
  code = program.format(configured=configured)
  command = [sys.executable, "-c", code]
  return int(subprocess.run(command, capture_output=True, check=True).stdout)


def test_a_step_is_over_when_its_call_returns():
  # So that the temporaries of two are never in memory together.
  assert not output(_READY, configured=False), "nothing to see to"
  assert output(_READY, configured=True)

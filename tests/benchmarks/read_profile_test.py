"""Pauses between programs in a profile."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import read_profile


def test_pauses_are_what_no_interval_covers():
  # Pauses of two seconds from 2 to 4 and of one from 7 to 8; one interval lies
  # inside another.
  found = read_profile.summary([(4.0, 7.0), (0.0, 2.0), (5.0, 6.0), (8.0, 9.0)])

  assert found == pytest.approx((9.0, 6 / 9, 2.0))


def test_a_trace_without_programs_is_refused():
  with pytest.raises(ValueError, match="no XLA program"):
    read_profile.summary([])


def test_programs_are_found_in_a_trace(tmp_path):
  work = jax.jit(lambda x: jnp.sin(x @ x).sum())
  x = jnp.ones((500, 500))
  work(x).block_until_ready()

  with jax.profiler.trace(str(tmp_path)):
    for _ in range(3):
      work(x).block_until_ready()

  (file,) = tmp_path.rglob("*.xplane.pb")
  whole, running, pause = read_profile.summary(read_profile.programs(file))
  assert 0 < running <= 1
  assert 0 <= pause < whole

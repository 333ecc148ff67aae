"""What is kept of a training while it runs."""

import jax.numpy as jnp
import pytest

from cmm_jax import monitor


def watched(workdir, steps, **kinds):
  with monitor.Monitor(str(workdir), "vae", 0, steps, **kinds) as watch:
    for step in range(1, steps + 1):
      watch.add({"loss": jnp.float32(step)})
    watch.log(steps)


# The profile begins with the fourth step and ends with the eighth, or with the
# last that there is.
@pytest.mark.parametrize("steps", [6, 12])
def test_a_profile_is_written_where_it_is_asked_for(tmp_path, steps):
  watched(tmp_path, steps, profile=True)

  traces = list((tmp_path / "profile" / "vae").rglob("*.xplane.pb"))
  assert len(traces) == 1 and traces[0].stat().st_size > 0
  (record,) = monitor.read_records(tmp_path, "vae")
  assert record["loss"] == (steps + 1) / 2


def test_no_profile_is_written_where_none_is_asked_for(tmp_path):
  watched(tmp_path, 12)

  assert not (tmp_path / "profile").exists()

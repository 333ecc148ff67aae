"""Programs that are compiled while another phase trains."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from cmm_jax import programs, train
from cmm_jax.models import registry


@pytest.fixture
def compiled(tmp_path):
  """Returns a function that lists what is in a cache of this test's own."""
  names = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
  )
  before = {name: getattr(jax.config, name) for name in names}
  for name, value in zip(names, (str(tmp_path / "xla"), 0), strict=True):
    jax.config.update(name, value)
  compilation_cache.reset_cache()

  def of_phases():
    files = (tmp_path / "xla").glob("*-cache")
    return sorted(
      file.name.removesuffix("-cache")
      for file in files
      if "jit_take_" in file.name or "visualize" in file.name
    )

  yield of_phases
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()


def test_a_phase_that_was_compiled_ahead_compiles_nothing(
  config, clips, monkeypatch, compiled
):
  # As on GPUs and TPUs, which compile ahead.
  monkeypatch.setattr(programs, "many_steps_per_dispatch", lambda: True)
  model = registry.build(config, len(clips.labels))
  vae = model.phases(config)[0]

  programs.compile_ahead(vae, model, config, clips)

  ahead = compiled()
  assert len(ahead) == 2  # the steps and the pictures
  train.run(vae, model, config, clips)
  assert compiled() == ahead

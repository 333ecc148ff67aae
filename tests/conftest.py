"""What all tests share: strict shapes, eight devices, a dataset, a trained run.

Nothing of cmm_jax may be imported before the hook that checks annotations.
"""

import importlib
import importlib.metadata
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["XLA_FLAGS"] = " ".join(
  (
    os.environ.get("XLA_FLAGS", ""),
    # Eight, so that tests can compare one with all; each is slower.
    "--xla_force_host_platform_device_count=8",
    # Compile time, most of what a small training costs: a program takes longer
    # in many parts than in one, and the emitters through MLIR take two to three
    # times as long as those that they replaced, which JAX 0.10 still has.
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_use_fusion_emitters=false"
    if importlib.metadata.version("jaxlib").startswith("0.10.")
    else "",
  )
)
# What is rendered, and the faces found in it, once for all processes: they
# inherit the variable from the one that starts them and clears up.
if "CMM_JAX_FAKE_DATA" not in os.environ:
  _rendered = tempfile.TemporaryDirectory(prefix="fake_data_")
  os.environ["CMM_JAX_FAKE_DATA"] = _rendered.name
os.environ.setdefault("TFDS_DISABLE_TENSORFLOW_WARNING", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import filelock
import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_disable_most_optimizations", True)  # compile time
install_import_hook(
  ["cmm_jax.networks", "cmm_jax.losses", "cmm_jax.evaluation.metrics"],
  "beartype.beartype",
)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
  """A folder of this suite's, the same for all processes that run its tests."""
  own = tmp_path_factory.getbasetemp()
  return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def compiled_once(shared):
  """A cache of compiled programs for these tests alone: several trainings of
  the same phases compile them once, and what a user has cached plays no part.
  """
  jax.config.update("jax_compilation_cache_dir", str(shared / "xla"))


def made_once(folder: pathlib.Path, make) -> pathlib.Path:
  """The folder, made by whichever process is the first to need it."""
  done = folder.with_suffix(".done")
  with filelock.FileLock(folder.with_suffix(".lock")):
    if not done.exists():
      make(folder)
      done.touch()
  return folder


@pytest.fixture(scope="session")
def data_dir(shared):
  """Where the dataset "miniature" is prepared."""
  import miniature

  def make(folder):
    miniature.Miniature(data_dir=folder).download_and_prepare()

  return str(made_once(shared / "data", make))


@pytest.fixture(scope="session")
def clips(data_dir):
  """The training clips of the miniature dataset."""
  from cmm_jax.data.clips import Clips

  return Clips(data_dir, "miniature", "train")


@pytest.fixture
def config(data_dir, tmp_path):
  """The smoke config on the miniature dataset, in a workdir of its own."""
  import miniature

  return miniature.config(data_dir, tmp_path / "run")


@pytest.fixture(scope="session")
def finished(data_dir, shared):
  """The config of a run that has trained all phases, not to be written to."""
  import miniature

  from cmm_jax import main

  def make(folder):
    main.train_all(miniature.config(data_dir, folder))

  return miniature.config(data_dir, made_once(shared / "finished", make))


@pytest.fixture
def copy(finished, tmp_path):
  """The finished run's config, pointed at a copy of the run."""
  workdir = tmp_path / "copy"
  shutil.copytree(finished.workdir, workdir)
  config = finished.copy_and_resolve_references()
  config.workdir = str(workdir)
  return config.lock()


@pytest.fixture
def run_command():
  """Returns `run("generate", workdir=…)`, which runs a command of `cmm_jax` in
  this process and returns its exit status, None for success."""
  from absl import flags

  names = (
    *("avatar.__main__", "compare_seeds", "evaluate", "export", "generate"),
    "report",
  )
  commands = [f"cmm_jax.{name}" for name in (*names, "generation_flags")]

  def forget():
    for command in commands:
      for flag in flags.FLAGS.get_flags_for_module(command):
        delattr(flags.FLAGS, flag.name)
      if sys.modules.pop(command, None):
        # `from package import module` would find it here.
        package, _, module = command.rpartition(".")
        vars(sys.modules[package]).pop(module, None)

  def run(name, *others, **values):
    forget()
    module = importlib.import_module(f"cmm_jax.{name}")
    arguments = [
      f"--{flag}={value}"
      for flag, given in values.items()
      for value in (given if isinstance(given, list) else [given])
    ]
    try:
      module.main(flags.FLAGS([name, *others, *arguments]))
    except SystemExit as stop:
      return stop.code
    return None

  yield run
  forget()

"""The order of the modules, and what they can do without."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "cmm_jax"

# Data flows one way: a module imports only from lines above its own, or from
# its own folder.
ORDER = (
  (
    "atomic",
    "examples",
    "excerpt",
    "folder_lock",
    "generation_flags",
    "landmarks",
    "ops",
    "package_files",
    "preemption",
    "runtime",
  ),
  ("distributed", "video"),
  ("preprocess", "data"),
  ("virtual_face",),
  ("networks",),
  ("losses",),
  ("models",),
  ("config_check",),
  ("event_file", "run_config"),
  ("checkpoints", "monitor"),
  ("full_size", "smile_kinds", "weights"),
  ("train_step", "generate_step", "smiles"),
  ("programs",),
  ("train", "inference"),
  ("stablehlo", "avatar"),
  ("evaluation",),
  ("user_study",),
  ("studio",),
  ("compare_seeds", "evaluate", "export", "generate", "main", "report"),
  ("__init__",),
)
RANK = {name: i for i, names in enumerate(ORDER) for name in names}


def modules():
  return sorted(file for file in PACKAGE.rglob("*.py") if file.stat().st_size)


def part_of(file):
  """The module or folder of the package that a file belongs to."""
  return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(file):
  """The parts of the package that a file imports, at its top or within."""
  for node in ast.walk(ast.parse(file.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    else:
      continue
    for name in names:
      first, *rest = name.split(".")
      if first == "cmm_jax" and rest:
        yield rest[0]


def test_every_part_has_its_place():
  assert {part_of(file) for file in modules()} == RANK.keys()


@pytest.mark.parametrize(
  "file", modules(), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_imports_point_one_way(file):
  own = part_of(file)
  for other in imported_parts(file):
    assert other == own or RANK[other] < RANK[own], f"{own} imports {other}"


@pytest.mark.parametrize("folder", ["ops", "networks", "losses.py"])
def test_networks_and_losses_know_no_config(folder):
  place = PACKAGE / folder
  files = place.rglob("*.py") if place.is_dir() else [place]
  for file in files:
    assert "ml_collections" not in file.read_text()


def test_the_core_runs_where_tensorflow_is_not_installed():
  code = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *args):
  missing = name.split(".")[0] in ("tensorflow", "apache_beam")
  return None if missing else find(name, *args)
PathFinder.find_spec = find_others
from cmm_jax import inference, main, train
from cmm_jax.evaluation import report, results
"""
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}

  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 0, done.stderr

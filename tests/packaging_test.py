"""The wheel holds all files, the pinned requirements all dependencies."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("cmm_jax", "tfds_builders", "configs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  """A wheel of a copy of the tree, unpacked."""
  pytest.importorskip("setuptools", minversion="77")
  folder = tmp_path_factory.mktemp("wheel")
  tree = folder / "tree"
  for package in PACKAGES:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / package, tree / package, ignore=ignored)
  for file in ("pyproject.toml", "README.md", "LICENSE"):
    shutil.copy(ROOT / file, tree)
  code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tree,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  (file,) = (tree / "dist").glob("*.whl")
  with zipfile.ZipFile(file) as archive:
    archive.extractall(folder / "unpacked")
  return folder / "unpacked"


def test_the_wheel_holds_every_file_of_the_packages(wheel):
  def files(root):
    return {
      str(file.relative_to(root))
      for package in PACKAGES
      for file in (root / package).rglob("*")
      if file.is_file() and "__pycache__" not in file.parts
    }

  assert files(wheel) == files(ROOT)


def test_the_package_works_from_the_wheel_alone(wheel, tmp_path):
  code = """
import pathlib, sys
import cmm_jax
from cmm_jax.virtual_face import head
assert pathlib.Path(cmm_jax.__file__).is_relative_to(sys.argv[1])
assert head.load().vertices.shape[1] == 3
"""
  environment = os.environ | {"PYTHONPATH": str(wheel)}

  done = subprocess.run(
    [sys.executable, "-c", code, str(wheel)],
    cwd=tmp_path,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 0, done.stderr


def read_entries(file):
  """The requirements of a file, each with the hashes that follow it."""
  for entry in (ROOT / file).read_text().replace("\\\n", "").splitlines():
    if entry.startswith("-r "):
      yield from read_entries(entry.removeprefix("-r "))
    elif entry and not entry.startswith("#"):
      line, *hashes = entry.split(" --hash=")
      yield Requirement(line), hashes


def read_pins(file):
  """Package -> version on this Python, from a file of pinned requirements."""
  pins = {}
  for requirement, _ in read_entries(file):
    if requirement.marker is None or requirement.marker.evaluate():
      name = canonicalize_name(requirement.name)
      assert name not in pins, f"{name} is pinned twice"
      pins[name] = str(requirement.specifier).removeprefix("==")
  return pins


def requirements_of(extras):
  """What pyproject.toml requires with these extras."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  lines = list(project["dependencies"])
  for extra in extras:
    lines += project["optional-dependencies"][extra]
  found = [Requirement(line) for line in lines]
  return [r for r in found if r.marker is None or r.marker.evaluate()]


def with_dependencies(requirements):
  """The names of the required packages and of all that these depend on."""
  seen = set()  # (package, extra)
  waiting = list(requirements)
  while waiting:
    requirement = waiting.pop()
    name = canonicalize_name(requirement.name)
    for extra in {"", *requirement.extras} - {e for n, e in seen if n == name}:
      seen.add((name, extra))
      for line in importlib.metadata.requires(name) or []:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
          waiting.append(needed)
  return {name for name, _ in seen}


@pytest.mark.parametrize(
  "file", ["requirements-all.txt", "requirements-models.txt"]
)
def test_every_pin_has_hashes(file):
  entries = list(read_entries(file))

  assert entries
  for requirement, hashes in entries:
    assert hashes and all(h.startswith("sha256:") for h in hashes), requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_every_supported_python_has_one_pin_of_jax(python):
  environment = {"python_full_version": f"{python}.0", "python_version": python}

  pins = [
    requirement
    for requirement, _ in read_entries("requirements.txt")
    if requirement.name == "jax" and requirement.marker.evaluate(environment)
  ]

  assert len(pins) == 1


@pytest.mark.parametrize(
  ("file", "extras"),
  [
    ("requirements.txt", ["metrics"]),
    ("requirements-studio.txt", ["metrics", "studio"]),
    (
      "requirements-all.txt",
      ["data", "metrics", "studio", "study", "tensorboard", "test"],
    ),
  ],
)
def test_the_requirement_files_pin_what_the_project_needs(file, extras):
  pins = read_pins(file)
  requirements = requirements_of(extras)

  assert pins.keys() == (
    with_dependencies(requirements) | {"setuptools", "wheel"}  # build tools
  )
  for requirement in requirements:
    pin = pins[canonicalize_name(requirement.name)]
    assert pin in requirement.specifier, requirement

"""Locating the files of installed packages."""

import sys

import pytest

from cmm_jax import package_files


def test_a_file_is_located_without_importing_its_package(monkeypatch):
  monkeypatch.delitem(sys.modules, "flax", raising=False)

  file = package_files.locate("flax", "version.py", "flax")

  assert file.name == "version.py" and file.is_file()
  assert "flax" not in sys.modules


def test_a_missing_file_or_package_says_what_to_install():
  with pytest.raises(FileNotFoundError, match=r"no file .*none\.pth.*flax"):
    package_files.locate("flax", "none.pth", "flax")
  with pytest.raises(ModuleNotFoundError, match="pip install 'no-such==1'"):
    package_files.locate("no_such_package", "none.pth", "no-such==1")

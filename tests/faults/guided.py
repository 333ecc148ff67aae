"""Fuzzes a parser guided by the lines that it runs: an hour each, by hand.

pip install atheris
python tests/faults/guided.py "OpenFace CSV" -max_total_time=3600

The first argument is a kind of `inputs.KINDS` that Python parses; the others
are libFuzzer's. It stops at the first input that is neither read nor refused
in a line that names the file, and writes it to crash-*.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import atheris

with atheris.instrument_imports(include=["cmm_jax", "tfds_builders"]):
  # What parsers import later is instrumented here.
  from cmm_jax import excerpt, monitor, run_config  # noqa: F401
  from cmm_jax.evaluation.metrics import torch_checkpoint  # noqa: F401
  from cmm_jax.preprocess import action_units, disfa, table  # noqa: F401
  from cmm_jax.user_study import clips  # noqa: F401
  from tfds_builders.uva_nemo import uva_nemo_dataset_builder  # noqa: F401

from faults import fuzz, inputs


def main() -> None:
  """Fuzzes until libFuzzer's limits, or until something is found."""
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

r"""Writes a small copy of a dataset's layout, filled with rendered faces.

  python -m tfds_builders.fake_data --dataset=uva_nemo --out=fake_nemo
  tfds build tfds_builders/uva_nemo --data_dir data --manual_dir fake_nemo \
    --config '{"name": "fake", "max_failed_fraction": 0.4}'

The datasets themselves have to be requested. The copies have the same folders,
file names, formats, resolutions and frame rates, and the irregularities of real
copies, so that the whole preprocessing can be tried without the data. Two of
the six videos of uva_nemo fail on purpose.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from tfds_builders.fake_data import layouts

_DATASET = flags.DEFINE_enum(
  "dataset", None, list(layouts.WRITERS), "The dataset.", required=True
)
_OUT = flags.DEFINE_string(
  "out", None, "The folder to write to; must be empty.", required=True
)


def main(argv: Sequence[str]) -> None:
  """Writes the copy."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  out = pathlib.Path(_OUT.value)
  if out.exists() and any(out.iterdir()):
    raise app.UsageError(f"The folder {_OUT.value!r} is not empty.")
  truths = layouts.WRITERS[_DATASET.value](out)
  print(f"Wrote {len(truths)} videos to {out}.")


if __name__ == "__main__":
  app.run(main)

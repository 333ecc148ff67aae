"""Renders the dataset without `tfds build`, which needs TensorFlow.

python -m tfds_builders.virtual_smiles --config=quick --data_dir=data

The files are the same. A dataset that exists is left as it is.
"""

import sys

from absl import app, flags, logging

from tfds_builders.virtual_smiles.virtual_smiles_dataset_builder import Builder

_CONFIG = flags.DEFINE_enum(
  "config",
  None,
  [config.name for config in Builder.BUILDER_CONFIGS],
  "Which dataset to render.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "The folder of datasets.")


def main(argv: list[str]) -> None:
  """Renders the dataset, with progress bars."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  logging.set_verbosity(logging.WARNING)
  builder = Builder(config=_CONFIG.value, data_dir=_DATA_DIR.value)
  try:
    builder.download_and_prepare()
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  print(f"{builder.info.full_name} is in {builder.data_path}.")


if __name__ == "__main__":
  flags.mark_flag_as_required("config")
  app.run(main)

"""Evaluates the models of a run on held-out people.

python -m cmm_jax.evaluate --workdir=runs/quick

Prints the paper's tables for every model that has been trained, and writes to
<workdir>/evaluation/:

  tables.md, tables.tex   the tables, with table 2 if the user study has answers
  metrics.json            model -> label -> metric -> value, low, high, clips
  per_clip.csv            the metrics of each clip, for paired comparisons
  details.json            action unit curves, errors of the regressors, sources
  *.png                   figures 4 to 8, and SSIM over diversity
  videos/                 of every model, for OpenFace and the user study

Action units are measured by a network of the run. The paper uses OpenFace: run
its FeatureExtraction on videos/<model>/<clip>.mp4, write the tables to
FOLDER/<model>/<clip>.csv, and pass --openface=FOLDER.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run.", required=True
)
_INCEPTION_V3 = flags.DEFINE_string(
  "inception_v3",
  None,
  "File of torchvision's inception_v3 state dict, for IS and FID. By default, "
  "EfficientNet-Lite0 is used.",
)
_OPENFACE = flags.DEFINE_string(
  "openface",
  None,
  "Folder of OpenFace's tables of the videos that this command wrote. By "
  "default, the run's own network measures the action units.",
)


def main(argv: Sequence[str]) -> None:
  """Evaluates, prints and writes; reports a user's mistakes in one line."""
  # Imported here, because worker processes import this module too.
  from cmm_jax import folder_lock, run_config, runtime
  from cmm_jax.evaluation import results
  from cmm_jax.user_study import tally

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  workdir = _WORKDIR.value
  try:
    run_config.read_config(workdir)  # lest a folder is made where no run is
    with folder_lock.hold(results.folder_of(workdir)):
      found = results.evaluate(
        workdir,
        inception_v3=_INCEPTION_V3.value,
        openface_tables=_OPENFACE.value,
      )
      folder = results.write(workdir, found, **tally.user_study_tables(workdir))
  except (OSError, ValueError, ImportError) as error:
    sys.exit(f"error: {error}")
  print((folder / "tables.md").read_text())
  print(f"written to {folder}")


if __name__ == "__main__":
  app.run(main)

"""What the programs that generate smiles share: flags, and warnings."""

import sys
import warnings

from absl import flags

LABEL = flags.DEFINE_string(
  "label", "all", "Kind of smile, as the dataset names it, or all."
)
WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of a run, or a file of weights; by default the weights that come "
  "with this package.",
)
STRENGTH = flags.DEFINE_float(
  "strength", 1.0, "How far the smiles go: 0 is still, 1 as learned.", 0, 1.5
)
LOOP = flags.DEFINE_bool(
  "loop", False, "Whether the smile fades again, so that it repeats."
)
FACE = flags.DEFINE_integer(
  "face", None, "Which face, from the left; by default the largest.", 1
)
MODES = flags.DEFINE_list(
  "modes", None, "Sequences to write, such as conditional,mode_2."
)


def labels(generator) -> list[str]:
  """The labels that --label asks an `inference.Generator` for.

  Raises:
    ValueError: the model was not trained for the label.
  """
  if LABEL.value == "all":
    return generator.labels
  generator.check_label(LABEL.value)
  return [LABEL.value]


def print_warnings_in_one_line() -> None:
  """Makes Python print each warning as one line, without its place."""
  warnings.showwarning = lambda message, *_: print(
    f"warning: {message}", file=sys.stderr
  )

"""Generates smiles for an avatar: ARKit blendshape curves and a glTF head.

python -m cmm_jax.avatar --label=spontaneous --out=avatar

For every label it writes a folder with the curves of each sequence, as CSV as
Live Link Face writes it, and of all of them as JSON; the head with an animation
per sequence (smiles.glb), and a head per sequence (side_by_side.glb).
"""

import pathlib
import sys
import warnings
from collections.abc import Sequence

from absl import app, flags

_LABEL = flags.DEFINE_string(
  "label", "all", "Kind of smile, as the dataset names it, or all."
)
_IMAGE = flags.DEFINE_string(
  "image", None, "A photo of a neutral face; by default the avatar's own face."
)
_OUT = flags.DEFINE_string("out", "avatar", "Folder to write to.")
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of a run, or a file of weights; by default the weights that come "
  "with this package.",
)
_STRENGTH = flags.DEFINE_float(
  "strength", 1.0, "How far the smiles go: 0 is still, 1 as learned.", 0, 1.5
)
_FPS = flags.DEFINE_float("fps", 60.0, "Frames per second.", 1, 240)
_SECONDS = flags.DEFINE_float(
  "seconds", None, "From rest to the full smile; by default as learned.", 0.1
)
_LOOP = flags.DEFINE_bool(
  "loop", False, "Whether the smile fades again, so that it repeats."
)
_FACE = flags.DEFINE_integer(
  "face", None, "Which face, from the left; by default the largest.", 1
)
_MODES = flags.DEFINE_list(
  "modes", None, "Sequences to write, such as conditional,mode_2."
)


def main(argv: Sequence[str]) -> None:
  """Writes the curves and heads of every label."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; a photo is --image=…")
  from cmm_jax import inference, runtime
  from cmm_jax.avatar import generate

  warnings.showwarning = _show_warning
  try:
    runtime.configure()
    generator = inference.SmileGenerator(_WORKDIR.value)
    labels = generator.labels if _LABEL.value == "all" else [_LABEL.value]
    for label in labels:
      generator.check_label(label)
    for label in labels:
      curves = generate.generate(
        generator,
        label,
        _IMAGE.value,
        strength=_STRENGTH.value,
        face=_FACE.value,
      )
      if _MODES.value:
        curves = curves.select(_MODES.value)
      curves = curves.resample(
        _FPS.value, seconds=_SECONDS.value, loop=_LOOP.value
      )
      folder = pathlib.Path(_OUT.value) / label
      _save(curves, folder)
      print(f"{label} -> {folder}")
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")


def _save(curves, folder):
  from cmm_jax import atomic
  from cmm_jax.avatar import glb

  for name in curves.sequence_names:
    curves.save_csv(folder / f"{name}.csv", name)
  curves.save_json(folder / "curves.json")
  for name, write in (
    ("smiles.glb", glb.animated_head),
    ("side_by_side.glb", glb.heads_side_by_side),
  ):
    with atomic.atomic_path(folder / name) as partial:
      partial.write_bytes(write(curves))


def _show_warning(message, *_):
  """Prints a warning in one line."""
  print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
  app.run(main)

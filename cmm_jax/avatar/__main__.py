"""Generates smiles for an avatar: ARKit blendshape curves and a glTF head.

python -m cmm_jax.avatar --label=spontaneous --out=avatar

For every label it writes a folder with the curves of each sequence, as CSV as
Live Link Face writes it, and of all of them as JSON; the head with an animation
per sequence (smiles.glb), and a head per sequence (side_by_side.glb).
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from cmm_jax import generation_flags
from cmm_jax.generation_flags import FACE, LOOP, MODES, STRENGTH, WORKDIR

flags.adopt_module_key_flags(generation_flags)

_IMAGE = flags.DEFINE_string(
  "image", None, "A photo of a neutral face; by default the avatar's own face."
)
_OUT = flags.DEFINE_string("out", "avatar", "Folder to write to.")
_FPS = flags.DEFINE_float("fps", 60.0, "Frames per second.", 1, 240)
_SECONDS = flags.DEFINE_float(
  "seconds", None, "From rest to the full smile; by default as learned.", 0.1
)


def main(argv: Sequence[str]) -> None:
  """Writes the curves and heads of every label."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; a photo is --image=…")
  from cmm_jax import inference, runtime
  from cmm_jax.avatar import generate

  generation_flags.print_warnings_in_one_line()
  try:
    runtime.configure()
    generator = inference.SmileGenerator(WORKDIR.value)
    labels = generation_flags.labels(generator)
    for label in labels:
      curves = generate.generate(
        generator,
        label,
        _IMAGE.value,
        strength=STRENGTH.value,
        face=FACE.value,
      )
      if MODES.value:
        curves = curves.select(MODES.value)
      curves = curves.resample(
        _FPS.value, seconds=_SECONDS.value, loop=LOOP.value
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


if __name__ == "__main__":
  app.run(main)

"""Generates smile videos from photos.

python -m cmm_jax.generate --workdir=runs/quick --image=photo.jpg

For every photo and label it writes a folder with an MP4 and a GIF of each
sequence (the conditional one and one per mode: the face above its landmarks), a
contact sheet, and the frames as smiles.npz. A baseline has no landmarks.
"""

import pathlib
import sys
import warnings
from collections.abc import Sequence

from absl import app, flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run that trained the model.", required=True
)
_IMAGES = flags.DEFINE_multi_string(
  "image",
  None,
  "A photo or a folder of photos; may be repeated.",
  required=True,
)
_LABEL = flags.DEFINE_string(
  "label", "all", "Kind of smile, as the dataset names it, or all."
)
_OUT = flags.DEFINE_string("out", "smiles", "Folder to write to.")
_MODEL = flags.DEFINE_string(
  "model", "cmm_net", "Model to generate with: cmm_net, video_gan or cra_net."
)


def main(argv: Sequence[str]) -> None:
  """Generates for all photos; exits with 1 if one of them failed."""
  from cmm_jax.preprocess import photo

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; photos are --image=…")
  warnings.showwarning = _show_warning
  try:
    files = photo.find(_IMAGES.value)
    from cmm_jax import inference, runtime

    runtime.configure()
    generator = inference.SmileGenerator(_WORKDIR.value, _MODEL.value)
    labels = generator.labels if _LABEL.value == "all" else [_LABEL.value]
    for label in labels:
      generator.check_label(label)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")

  failed = 0
  folders = _folder_names(files)
  for file in files:
    try:
      face, points = generator.align(file)
      for label in labels:
        folder = pathlib.Path(_OUT.value) / folders[file] / label
        generator.generate(face[None], points[None], [label]).save(folder)
        print(f"{file}: {label} -> {folder}")
    except (OSError, ValueError) as error:
      failed += 1
      print(f"error: {error}", file=sys.stderr)
  if failed:
    sys.exit(f"{failed} of {len(files)} photos gave no videos (see above).")


def _show_warning(message, *_):
  """Prints a warning in one line."""
  print(f"warning: {message}", file=sys.stderr)


def _folder_names(files):
  """A folder per photo: its stem, or its name where stems are shared."""
  stems = [file.stem for file in files]
  names, taken = {}, set()
  for file in files:
    name = file.stem if stems.count(file.stem) == 1 else file.name
    number = 2
    while name in taken:
      name, number = f"{file.name}_{number}", number + 1
    taken.add(name)
    names[file] = name
  return names


if __name__ == "__main__":
  app.run(main)

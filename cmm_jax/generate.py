"""Generates smile videos from photos.

python -m cmm_jax.generate --image=photo.jpg

For every photo and label it writes a folder with a full-size MP4 and a preview
(WebP) of each sequence: the conditional one and one per mode. A contact sheet
shows them all, and aligned/ has the faces as the networks see them, above their
landmarks, as MP4, GIF and NPZ. A baseline has the aligned faces alone.
"""

import pathlib
import sys
import warnings
from collections.abc import Sequence

from absl import app, flags

from cmm_jax.preprocess import detectors

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
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of a run, or a file of weights; by default the weights that come "
  "with this package.",
)
_MODEL = flags.DEFINE_string(
  "model", "cmm_net", "Model of the run: cmm_net, video_gan or cra_net."
)
_STRENGTH = flags.DEFINE_float(
  "strength", 1.0, "How far the smiles go: 0 is still, 1 as learned.", 0, 1.5
)
_FRAMES = flags.DEFINE_integer(
  "frames", None, "Frames from neutral to smile; more are slower.", 2, 10_000
)
_FPS = flags.DEFINE_float("fps", 20.0, "Frames per second.", 1, 240)
_LOOP = flags.DEFINE_bool(
  "loop", False, "Whether the smile fades again, so that the video repeats."
)
_FACE = flags.DEFINE_integer(
  "face", None, "Which face, from the left; by default the largest.", 1
)
_MODES = flags.DEFINE_list(
  "modes", None, "Sequences to write, such as conditional,mode_2."
)
_DETECTOR = flags.DEFINE_enum(
  "detector",
  "mediapipe",
  detectors.NAMES,
  "What finds faces; the terms of dlib's landmarks exclude commercial use.",
)
_SIZE = flags.DEFINE_integer(
  "size", 3840, "Longest side of the videos; larger photos are reduced.", 64
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
    generator.detector = detectors.get_detector(_DETECTOR.value)
    labels = generator.labels if _LABEL.value == "all" else [_LABEL.value]
    for label in labels:
      generator.check_label(label)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")

  from cmm_jax import folder_lock

  try:
    with folder_lock.hold(_OUT.value):
      failed = _generate_all(generator, files, labels)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  if failed:
    sys.exit(f"{failed} of {len(files)} photos gave no videos (see above).")


def _generate_all(generator, files, labels):
  """Writes the smiles of all photos; returns how many photos failed."""
  failed = 0
  folders = _folder_names(files)
  for file in files:
    try:
      for label, smiles in _generate(generator, file, labels):
        folder = pathlib.Path(_OUT.value) / folders[file] / label
        smiles.save(folder, _FPS.value)
        print(f"{file}: {label} -> {folder}")
    except (OSError, ValueError) as error:
      failed += 1
      print(f"error: {error}", file=sys.stderr)
  return failed


def _generate(generator, file, labels):
  """The smiles of one photo, by label."""
  aligned = generator.align(file, face=_FACE.value, max_size=_SIZE.value)
  for label in labels:
    smiles = generator.smile([aligned], label, strength=_STRENGTH.value)
    if _FRAMES.value is not None or _LOOP.value:
      smiles = smiles.retime(_FRAMES.value, loop=_LOOP.value)
    if _MODES.value:
      smiles = smiles.select(_MODES.value)
    yield label, smiles


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

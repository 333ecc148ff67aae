"""Generates smile videos from photos.

python -m cmm_jax.generate --image=photo.jpg

For every photo and label it writes a folder with a full-size MP4 and a preview
(WebP) of each sequence: the conditional one and one per mode. A contact sheet
shows them all, and aligned/ has the faces as the networks see them, above their
landmarks, as MP4, GIF and NPZ. A baseline has the aligned faces alone.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from cmm_jax import generation_flags
from cmm_jax.generation_flags import FACE, LOOP, MODES, STRENGTH, WORKDIR
from cmm_jax.preprocess import detectors

flags.adopt_module_key_flags(generation_flags)

_IMAGES = flags.DEFINE_multi_string(
  "image",
  None,
  "A photo or a folder of photos; may be repeated.",
  required=True,
)
_OUT = flags.DEFINE_string("out", "smiles", "Folder to write to.")
_MODEL = flags.DEFINE_string(
  "model", "cmm_net", "Model of the run: cmm_net, video_gan or cra_net."
)
_FRAMES = flags.DEFINE_integer(
  "frames", None, "Frames from neutral to smile; more are slower.", 2, 10_000
)
_FPS = flags.DEFINE_float("fps", 20.0, "Frames per second.", 1, 240)
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
  generation_flags.print_warnings_in_one_line()
  try:
    files = photo.find(_IMAGES.value)
    from cmm_jax import inference, runtime

    runtime.configure()
    generator = inference.SmileGenerator(WORKDIR.value, _MODEL.value)
    generator.detector = detectors.get_detector(_DETECTOR.value)
    labels = generation_flags.labels(generator)
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
  aligned = generator.align(file, face=FACE.value, max_size=_SIZE.value)
  for label in labels:
    smiles = generator.smile([aligned], label, strength=STRENGTH.value)
    if _FRAMES.value is not None or LOOP.value:
      smiles = smiles.retime(_FRAMES.value, loop=LOOP.value)
    if MODES.value:
      smiles = smiles.select(MODES.value)
    yield label, smiles


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

"""One face in, K+1 smile videos out; a baseline makes one.

python -m cmm_jax.generate --workdir=runs/quick --image=photo.jpg \
  --label=spontaneous --out=smiles

Writes for each photo and label a folder with an MP4 and a GIF of every
sequence (the conditional one and each mode: the face above, its landmarks
below), a contact sheet of all, and the frames as `smiles.npz`. A baseline has
no landmarks to show.
"""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import app, flags
from jaxtyping import Float, UInt8

# Public: the commands that measure a run have the same flag.
WORKDIR = flags.DEFINE_string("workdir", None, "Where the model was trained.")
_IMAGES = flags.DEFINE_multi_string(
  "image", None, "A photo or a folder of photos; may be given several times."
)
_LABEL = flags.DEFINE_string(
  "label", "all", "The kind of smile, as the dataset names it, or all."
)
# Public: exporting has the same two; there what is written is a file.
OUT = flags.DEFINE_string(
  "out", None, "Where to write to: a folder, smiles by default."
)
MODEL = flags.DEFINE_string(
  "model", "cmm_net", "What was trained: cmm_net, video_gan or cra_net."
)

FRAMES_PER_SECOND = 20
_ENLARGED = 4  # frames of 64 pixels are too small to watch


@dataclasses.dataclass(frozen=True)
class Smiles:
  """Generated sequences, b faces and s = K+1 sequences of each.

  The first sequence is the conditional LSTM's, the others are the modes'. A
  baseline has one sequence, without drawings.
  """

  drawings: UInt8[np.ndarray, "b s t h w"] | None
  frames: UInt8[np.ndarray, "b s t h w 3"]

  @property
  def names(self) -> tuple[str, ...]:
    """Of the sequences, in order."""
    modes = self.frames.shape[1] - 1
    if not modes:
      return ("smile",)
    return ("conditional", *(f"mode_{k + 1}" for k in range(modes)))


class Generator:
  """A trained model, ready to be used."""

  def __init__(self, workdir: str, model: str = "cmm_net"):
    """Loads the networks of a run.

    Args:
      workdir: of the run.
      model: which of those that were trained there.

    Raises:
      FileNotFoundError: the run has not been trained so far.
      ValueError: there is no such model.
    """
    nets, trained, self.labels, self.image_size = load(workdir, model)
    self._networks = nets.prepared(trained)
    self._compiled = compiled(nets)

  def __call__(
    self,
    faces: UInt8[np.ndarray, "b h w 3"],
    points: Float[np.ndarray, "b 68 2"],
    labels: Sequence[str],
  ) -> Smiles:
    """Generates the sequences of aligned neutral faces.

    Args:
      faces: aligned as `preprocess.align` does it, `image_size` wide.
      points: their landmarks, in their pixels.
      labels: one of `self.labels` for each face.

    Raises:
      ValueError: a label that the model was not trained for, or arrays of
        other shapes.
    """
    import jax

    inputs = as_inputs(faces, points, labels, self.labels, self.image_size)
    return Smiles(**jax.device_get(self._compiled(self._networks, inputs)))

  def check_label(self, label: str) -> None:
    """Raises a ValueError unless the model knows `label`."""
    number_of_label(label, self.labels)


def load(workdir: str, model: str) -> tuple[Any, Any, Sequence[str], int]:
  """Reads what a run has trained of a model.

  Returns:
    The `Architecture`, the weights as its `generate` takes them, the labels
    that it was trained for and the height and width of its faces.

  Raises:
    FileNotFoundError: the run has not been trained so far.
    ValueError: there is no such model.
  """
  import jax

  from cmm_jax import checkpoints
  from cmm_jax.models import registry

  config, labels = checkpoints.read_config(workdir)
  nets = registry.architecture(config, len(labels), model)
  trained = {
    phase: checkpoints.load_networks(workdir, dict.fromkeys(names, phase))
    for phase, names in nets.used().items()
  }
  return nets, jax.device_put(trained), labels, config.data.image_size


def as_arrays(nets) -> Callable[..., dict[str, Any]]:
  """Returns `f(trained, inputs) -> {"drawings", "frames"}` as uint8, traceable.

  Its arguments are those of `Architecture.generate`, whose model `nets` is.
  """
  import jax.numpy as jnp

  def generate(trained, inputs):
    drawn, made = nets.generate(trained, inputs)
    if drawn is not None:
      drawn = jnp.round(255 * drawn[..., 0]).astype(jnp.uint8)
    made = jnp.round(127.5 * (made + 1)).astype(jnp.uint8)
    return {"drawings": drawn, "frames": made}

  return generate


def compiled(nets) -> Callable[..., dict[str, Any]]:
  """`as_arrays` compiled, as `Generator` runs it."""
  import jax

  from cmm_jax import runtime

  return jax.jit(as_arrays(nets), compiler_options=runtime.compiler_options())


def number_of_label(label: str, known: Sequence[str]) -> int:
  """The label's place among those that a model knows.

  Raises:
    ValueError: it is none of them.
  """
  if label not in known:
    raise ValueError(
      f"The model does not know the label {label!r}; choose one of "
      f"{', '.join(known)}."
    )
  return known.index(label)


def as_inputs(
  faces: UInt8[np.ndarray, "b h w 3"],
  points: Float[np.ndarray, "b 68 2"],
  labels: Sequence[str],
  known: Sequence[str],
  size: int,
) -> dict[str, np.ndarray]:
  """The batch that a model with labels `known` and faces of `size` takes.

  Raises:
    ValueError: a label or an array is none that it takes.
  """
  faces, points = np.asarray(faces), np.asarray(points, np.float32)
  batch = len(labels)
  numbers = [number_of_label(label, known) for label in labels]
  wanted = (batch, size, size, 3), (batch, 68, 2)
  if (
    faces.dtype != np.uint8
    or (faces.shape, points.shape) != wanted
    or not batch
  ):
    raise ValueError(
      f"With {batch} labels faces have to be uint8 {list(wanted[0])} and their "
      f"landmarks {list(wanted[1])}, not {faces.dtype} {list(faces.shape)} and "
      f"{list(points.shape)}; preprocess.align makes such faces of photos."
    )
  return {
    "first_frame": faces,
    "first_points": points,
    "label": np.array(numbers, np.int32),
  }


def write(
  folder: str | os.PathLike, smiles: Smiles, face: UInt8[np.ndarray, "h w 3"]
) -> None:
  """Writes one face's sequences (b = 1) as videos, sheet and arrays."""
  from PIL import Image

  from cmm_jax import video

  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  rows = []
  for index, name in enumerate(smiles.names):
    shown = [smiles.frames[0, index]]
    rows.append((name.replace("_", " "), shown[0]))
    if smiles.drawings is not None:
      drawn = np.repeat(smiles.drawings[0, index][..., None], 3, axis=-1)
      shown.append(drawn)
      rows.append(("", drawn))
    both = video.upscale(np.concatenate(shown, axis=1), _ENLARGED)
    video.write_mp4(folder / f"{name}.mp4", both, FRAMES_PER_SECOND)
    video.write_gif(folder / f"{name}.gif", both, FRAMES_PER_SECOND)
  sheet = video.contact_sheet(rows, columns=8, scale=2)
  Image.fromarray(sheet).save(folder / "contact_sheet.png")
  arrays = {"frames": smiles.frames[0]}
  if smiles.drawings is not None:
    arrays["drawings"] = smiles.drawings[0]
  np.savez_compressed(
    folder / "smiles.npz", face=face, names=np.array(smiles.names), **arrays
  )


def face_of_photo(finder, file: os.PathLike, size: int):
  """The aligned face of a photo and its landmarks.

  Several faces give a warning, and the largest is taken.

  Raises:
    ValueError, OSError: the photo cannot be used.
  """
  from cmm_jax.preprocess import align, faces, photo

  picture = photo.read(file)
  found = finder.find(picture)
  face = faces.largest(found, str(file))
  if len(found) > 1:
    print(
      f"warning: {file} shows {len(found)} faces; the largest is taken.",
      file=sys.stderr,
    )
  return align.align(picture, face.points, size)


def main(argv: Sequence[str]) -> None:
  """Generates for all photos; exits with 1 when one of them failed."""
  from cmm_jax.preprocess import faces, photo

  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; photos are --image=…")
  try:
    files = photo.find(_IMAGES.value)
    from cmm_jax import runtime

    runtime.configure()
    generator = Generator(WORKDIR.value, MODEL.value)
    labels = generator.labels if _LABEL.value == "all" else [_LABEL.value]
    for label in labels:
      generator.check_label(label)
    finder = faces.Finder()
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")

  failed = 0
  folders = _folder_names(files)
  for file in files:
    try:
      face, points = face_of_photo(finder, file, generator.image_size)
      for label in labels:
        smiles = generator(face[None], points[None], [label])
        folder = pathlib.Path(OUT.value or "smiles") / folders[file] / label
        write(folder, smiles, face)
        print(f"{file}: {label} -> {folder}")
    except (OSError, ValueError) as error:
      failed += 1
      print(f"error: {error}", file=sys.stderr)
  if failed:
    sys.exit(f"{failed} of {len(files)} photos gave no videos (see above).")


def _folder_names(files):
  """A folder for each photo: its stem, or its name where stems are shared."""
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
  flags.mark_flags_as_required(["workdir", "image"])
  app.run(main)

"""One face in, K+1 smile videos out.

python -m cmm_jax.generate --workdir=runs/quick --image=photo.jpg \
  --label=spontaneous --out=smiles

Writes for each photo and label a folder with an MP4 and a GIF of every
sequence (the conditional one and each mode: the face above, its landmarks
below), a contact sheet of all, and the frames as `smiles.npz`.
"""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence

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
_OUT = flags.DEFINE_string("out", "smiles", "The folder to write to.")

FRAMES_PER_SECOND = 20
_ENLARGED = 4  # frames of 64 pixels are too small to watch


@dataclasses.dataclass(frozen=True)
class Smiles:
  """Generated sequences, b faces and s = K+1 sequences of each.

  The first sequence is the conditional LSTM's, the others are the modes'.
  """

  drawings: UInt8[np.ndarray, "b s t h w"]
  frames: UInt8[np.ndarray, "b s t h w 3"]

  @property
  def names(self) -> tuple[str, ...]:
    """Of the sequences, in order."""
    modes = self.drawings.shape[1] - 1
    return ("conditional", *(f"mode_{k + 1}" for k in range(modes)))


class Generator:
  """A trained model, ready to be used."""

  def __init__(self, workdir: str, modes: str = "modes"):
    """Loads the networks of a run.

    Args:
      workdir: of the run.
      modes: the phase whose bank of modes is used.

    Raises:
      FileNotFoundError: the run has not been trained so far.
    """
    import jax

    from cmm_jax import backend, checkpoints, phases

    config, self.labels = checkpoints.read_config(workdir)
    self.image_size = config.data.image_size
    self._nets = phases.architecture(config, len(self.labels))
    self._modes = modes
    trained = checkpoints.trained_networks(
      workdir,
      {
        "vae": modes,
        "conditional": modes,
        modes: modes,
        "translator": "translator",
      },
    )
    self._networks = jax.device_put(trained)
    self._compiled = jax.jit(
      self._generate, compiler_options=backend.compiler_options()
    )

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
      ValueError: a label that the model was not trained for.
    """
    for label in labels:
      self.check_label(label)
    numbers = np.array([self.labels.index(name) for name in labels])
    drawings, frames = self._compiled(self._networks, faces, points, numbers)
    return Smiles(np.asarray(drawings), np.asarray(frames))

  def check_label(self, label: str) -> None:
    """Raises a ValueError unless the model knows `label`."""
    if label not in self.labels:
      raise ValueError(
        f"The model does not know the label {label!r}; choose one of "
        f"{', '.join(self.labels)}."
      )

  def _generate(self, networks, faces, points, labels):
    """uint8 [b h w 3] and float32 [b 68 2] to uint8 [b s t h w (3)]."""
    import jax
    import jax.numpy as jnp

    from cmm_jax import landmarks

    nets = self._nets
    first = landmarks.draw(points, self.image_size)[..., None]
    code, _ = nets.vae.apply(networks["vae"], first, method="encode")
    condition = jax.nn.one_hot(labels, nets.num_labels)
    codes = nets.conditional.apply(networks["conditional"], code, condition)
    modes = getattr(nets, self._modes).apply(networks[self._modes], codes)
    sequences = jnp.concatenate([codes[None], modes]).swapaxes(0, 1)

    b, s, t, d = sequences.shape
    logits = nets.vae.apply(
      networks["vae"], sequences.reshape(-1, d), method="decode"
    )
    drawn = jax.nn.sigmoid(logits)
    neutral = faces.astype(jnp.float32) / 127.5 - 1
    neutral = jnp.repeat(neutral, s * t, axis=0)
    made = nets.translator.apply(networks["translator"], neutral, drawn)
    drawn = jnp.round(255 * drawn[..., 0]).astype(jnp.uint8)
    made = jnp.round(127.5 * (made + 1)).astype(jnp.uint8)
    size = drawn.shape[1:]
    return drawn.reshape(b, s, t, *size), made.reshape(b, s, t, *size, 3)


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
    frames = smiles.frames[0, index]
    drawn = np.repeat(smiles.drawings[0, index][..., None], 3, axis=-1)
    both = video.upscale(np.concatenate([frames, drawn], axis=1), _ENLARGED)
    video.write_mp4(folder / f"{name}.mp4", both, FRAMES_PER_SECOND)
    video.write_gif(folder / f"{name}.gif", both, FRAMES_PER_SECOND)
    rows += [(name.replace("_", " "), frames), ("", drawn)]
  sheet = video.contact_sheet(rows, columns=8, scale=2)
  Image.fromarray(sheet).save(folder / "contact_sheet.png")
  np.savez_compressed(
    folder / "smiles.npz",
    face=face,
    names=np.array(smiles.names),
    drawings=smiles.drawings[0],
    frames=smiles.frames[0],
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
    from cmm_jax import backend

    backend.prepare()
    generator = Generator(WORKDIR.value)
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
        folder = pathlib.Path(_OUT.value) / folders[file] / label
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

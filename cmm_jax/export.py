r"""A trained generator with its weights as one file, and its use from there.

python -m cmm_jax.export --workdir=runs/quick --out=smiles.stablehlo

The file is a program that `jax.export` serialised, for CPUs, Nvidia's GPUs and
TPUs and for any number of faces at once. It needs neither the run nor, to be
used, most of this package:

  from cmm_jax import export
  generator = export.load("smiles.stablehlo")
  smiles = generator(faces, points, ["spontaneous"])  # as generate.Generator

Where this package is not, jax and flatbuffers are enough:

  content = open("smiles.stablehlo", "rb").read()
  program = jax.jit(jax.export.deserialize(bytearray(content)).call)
  made = program({
    "first_frame": faces,  # uint8 [b 64 64 3], aligned
    "first_points": points,  # float32 [b 68 2], x and y in their pixels
    "label": numbers,  # int32 [b], each below the number of labels
  })
  made["frames"], made["drawings"]  # uint8 [b s t 64 64 3] and [b s t 64 64]
  json.loads(content.rpartition(b"\n")[2])["labels"]  # in their order

JAX reads what it wrote half a year before.
"""

import hashlib
import json
import os
import pathlib
import sys
from collections.abc import Sequence

import jax
import jax.export
import numpy as np
from absl import app, flags
from jaxtyping import Float, UInt8

from cmm_jax import checkpoints, generate, runtime

PLATFORMS = ("cpu", "cuda", "tpu")

# Of 255 grey levels. The two programs add in another order, so that a value in
# the middle between two levels may be rounded the other way.
_TOLERANCE = 1


class Exported:
  """A generator out of a file; it is used as `generate.Generator` is."""

  def __init__(self, content: bytes, name: str):
    """Unpacks what `pack` gave.

    Args:
      content: of the file.
      name: of the file, for errors.

    Raises:
      ValueError: it is no such file, or damaged.
    """
    program, _, description = content.rpartition(b"\n")
    try:
      about = json.loads(description)
      whole = about.pop("sha256") == _digest(program, about)
    except (ValueError, KeyError, TypeError, AttributeError):
      whole = False
    if not whole:
      raise ValueError(
        f"{name} is damaged or no exported generator; write it again with\n"
        f"  python -m cmm_jax.export --workdir=WORKDIR --out={name}"
      )
    self.labels = about["labels"]
    self.image_size = about["image_size"]
    try:
      self.program = jax.export.deserialize(bytearray(program))
    except Exception as error:  # whatever another version's format leads to
      raise ValueError(
        f"{name} was written with JAX {about['jax']} and cannot be read with "
        f"{jax.__version__} ({error}); write it again."
      ) from error
    # An exported program knows no compiler options: they are given here.
    self._compiled = jax.jit(
      self.program.call, compiler_options=runtime.compiler_options()
    )

  def __call__(
    self,
    faces: UInt8[np.ndarray, "b h w 3"],
    points: Float[np.ndarray, "b 68 2"],
    labels: Sequence[str],
  ) -> generate.Smiles:
    """Generates the sequences of aligned neutral faces.

    Args:
      faces: aligned as `preprocess.align` does it, `image_size` wide.
      points: their landmarks, in their pixels.
      labels: one of `self.labels` for each face.

    Raises:
      ValueError: a label that the model was not trained for, or arrays of
        other shapes.
    """
    inputs = generate.as_inputs(
      faces, points, labels, self.labels, self.image_size
    )
    return generate.Smiles(**jax.device_get(self._compiled(inputs)))


def load(file: str | os.PathLike) -> Exported:
  """Reads a generator that this module's command wrote.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is no such generator, or damaged.
  """
  try:
    content = pathlib.Path(file).read_bytes()
  except FileNotFoundError as error:
    raise FileNotFoundError(
      f"No file {os.fspath(file)!r}; write it with\n"
      f"  python -m cmm_jax.export --workdir=WORKDIR --out={os.fspath(file)}"
    ) from error
  return Exported(content, os.fspath(file))


def pack(workdir: str, model: str) -> bytes:
  """The content of the file: the program, and a line of JSON about it.

  `jax.export.deserialize` does not look at what follows the program.
  """
  nets, trained, labels, side = generate.load(workdir, model)

  def smiles(inputs):
    return generate.as_arrays(nets)(trained, inputs)

  (b,) = jax.export.symbolic_shape("b")
  inputs = {
    "first_frame": jax.ShapeDtypeStruct((b, side, side, 3), np.uint8),
    "first_points": jax.ShapeDtypeStruct((b, 68, 2), np.float32),
    "label": jax.ShapeDtypeStruct((b,), np.int32),
  }
  exported = jax.export.export(jax.jit(smiles), platforms=PLATFORMS)(inputs)
  program = bytes(exported.serialize())
  about = {
    "labels": list(labels),
    "image_size": side,
    "jax": jax.__version__,
  }
  about["sha256"] = _digest(program, about)
  return program + b"\n" + json.dumps(about).encode()


def difference(
  one: generate.Generator | Exported, other: generate.Generator | Exported
) -> int:
  """By how many grey levels two generators differ at most.

  Both are given noise, one face and then three.
  """
  random = np.random.default_rng(0)
  side, found = one.image_size, 0
  for batch in (1, 3):
    faces = random.integers(0, 256, (batch, side, side, 3), np.uint8)
    points = random.uniform(0, side - 1, (batch, 68, 2)).astype(np.float32)
    labels = [one.labels[i % len(one.labels)] for i in range(batch)]
    made = [generator(faces, points, labels) for generator in (one, other)]
    for first, second in (
      [m.frames for m in made],
      [m.drawings for m in made],
    ):
      if first is not None:
        gap = np.abs(first.astype(int) - second.astype(int)).max()
        found = max(found, int(gap))
  return found


def write(workdir: str, model: str, file: str | os.PathLike) -> str:
  """Exports a run's generator, once it does what the live one does.

  Returns:
    What was written, in words.

  Raises:
    OSError, ValueError: the run is not trained, the file cannot be written, or
      the exported generator does something else.
  """
  file = pathlib.Path(file)
  if file.is_dir():
    raise IsADirectoryError(
      f"{str(file)!r} is a folder: give --out the name of a file to write."
    )
  generator = generate.Generator(workdir, model)
  content = pack(workdir, model)
  gap = difference(generator, Exported(content, str(file)))
  if gap > _TOLERANCE:
    raise ValueError(
      f"The exported generator differs from the live one by {gap} of 255 grey "
      f"levels, where at most {_TOLERANCE} is expected; {file} is not written."
    )
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_atomically(file, content)
  except OSError as error:
    raise OSError(
      f"{str(file)!r} cannot be written ({error.strerror}); make room, or name "
      "another file with --out=FILE."
    ) from error
  return (
    f"{file}: {len(content) / 1e6:.1f} MB for {', '.join(PLATFORMS)}; on this "
    f"CPU at most {gap} of 255 grey levels off the live generator."
  )


def _digest(program, about):
  """Of the program and of what is said about it."""
  said = json.dumps(about, sort_keys=True).encode()
  return hashlib.sha256(program + said).hexdigest()


def main(argv: Sequence[str]) -> None:
  """Writes the file; exits with 1 when that could not be done."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; the file is --out=…")
  # A program for all platforms is traced and compared on the one there always
  # is.
  jax.config.update("jax_platforms", "cpu")
  runtime.configure()
  try:
    said = write(
      generate.WORKDIR.value, generate.MODEL.value, generate.OUT.value
    )
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  print(said)


if __name__ == "__main__":
  flags.mark_flags_as_required(["workdir", "out"])
  app.run(main)

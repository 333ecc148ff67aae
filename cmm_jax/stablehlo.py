"""A generator with its weights as one StableHLO program.

`jax.export` serializes it for CPUs, Nvidia's GPUs and TPUs and for any number
of faces; a line of JSON about it follows the program. Reading it needs neither
the run nor, where this package is missing, more than jax and flatbuffers:

  content = open("smiles.stablehlo", "rb").read()
  program = jax.jit(jax.export.deserialize(bytearray(content)).call)
  made = program({
    "first_frame": faces,  # uint8 [b 64 64 3], aligned
    "first_points": points,  # float32 [b 68 2], x and y in their pixels
    "label": numbers,  # int32 [b], each below the number of labels
    "strength": strength,  # float32 [b], 1 as learned
  })
  made["frames"], made["landmark_images"]  # uint8 [b s t 64 64 (3)]
  made["motion"]  # float16 [b s t 64 64 6], as full_size.render takes it
  json.loads(content.rpartition(b"\n")[2])["labels"]  # in their order

JAX reads what it wrote up to half a year before.
"""

import hashlib
import json
import os
import pathlib

import jax
import jax.export
import numpy as np

from cmm_jax import atomic, excerpt, generate_step, inference, runtime

PLATFORMS = ("cpu", "cuda", "tpu")

# In gray levels of 255. The two programs add in another order, so a value
# halfway between two levels may be rounded the other way.
_TOLERANCE = 1

# Of the program's inputs and outputs; another number is another interface.
_FORMAT = 3


class ExportedGenerator(inference.Generator):
  """A generator from a file."""

  def __init__(self, content: bytes, name: str):
    """Reads what `serialize` returned.

    Args:
      content: of the file.
      name: of the file, for error messages.

    Raises:
      ValueError: the content is damaged or something else.
    """
    program, _, description = content.rpartition(b"\n")
    try:
      about = json.loads(description)
      intact = about.pop("sha256") == _digest(program, about)
    except (ValueError, KeyError, TypeError, AttributeError):
      intact = False
    if not intact:
      raise ValueError(
        f"{name} is damaged or no exported generator; write it again with\n"
        f"  python -m cmm_jax.export --workdir=WORKDIR --out={name}"
      )
    if about.get("format") != _FORMAT:
      raise ValueError(
        f"{name} is from another version of this package; export it again."
      )
    try:
      self.exported = jax.export.deserialize(bytearray(program))
    except Exception as error:  # whatever another version's format leads to
      raise ValueError(
        f"{name} was written with JAX {about.get('jax')} and cannot be read "
        f"with {jax.__version__} ({excerpt.quote(str(error))}); write it again."
      ) from error
    labels, image_size = about.get("labels"), about.get("image_size")
    if type(image_size) is not int or not (
      isinstance(labels, list) and all(isinstance(one, str) for one in labels)
    ):
      raise ValueError(f"{name} does not say what it was trained for.")
    # An exported program has no compiler options; they are given here.
    compiled = jax.jit(
      self.exported.call, compiler_options=runtime.compiler_options()
    )
    super().__init__(
      lambda inputs: jax.device_get(compiled(inputs)),
      labels,
      image_size,
    )


def load(file: str | os.PathLike) -> ExportedGenerator:
  """Loads a generator that `write` wrote.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged or something else.
  """
  try:
    content = pathlib.Path(file).read_bytes()
  except FileNotFoundError as error:
    raise FileNotFoundError(
      f"No file {os.fspath(file)!r}; write it with\n"
      f"  python -m cmm_jax.export --workdir=WORKDIR --out={os.fspath(file)}"
    ) from error
  return ExportedGenerator(content, os.fspath(file))


def serialize(workdir: str, model: str) -> bytes:
  """Serializes a run's generator: the program and a line of JSON about it.

  `jax.export.deserialize` ignores what follows the program.
  """
  built, networks, labels, size = inference.load_model(workdir, model)

  def generate(inputs):
    return generate_step.to_arrays(built.generate)(networks, inputs)

  (b,) = jax.export.symbolic_shape("b")
  inputs = {
    "first_frame": jax.ShapeDtypeStruct((b, size, size, 3), np.uint8),
    "first_points": jax.ShapeDtypeStruct((b, 68, 2), np.float32),
    "label": jax.ShapeDtypeStruct((b,), np.int32),
    "strength": jax.ShapeDtypeStruct((b,), np.float32),
  }
  exported = jax.export.export(jax.jit(generate), platforms=PLATFORMS)(inputs)
  program = bytes(exported.serialize())
  about = {
    "format": _FORMAT,
    "labels": labels,
    "image_size": size,
    "jax": jax.__version__,
  }
  about["sha256"] = _digest(program, about)
  return program + b"\n" + json.dumps(about).encode()


def max_difference(one: inference.Generator, other: inference.Generator) -> int:
  """The largest difference of two generators' outputs, in gray levels.

  Both are given noise as one face and as three.
  """
  random = np.random.default_rng(0)
  size, largest = one.image_size, 0
  for batch in (1, 3):
    faces = random.integers(0, 256, (batch, size, size, 3), np.uint8)
    points = random.uniform(0, size - 1, (batch, 68, 2)).astype(np.float32)
    labels = [one.labels[i % len(one.labels)] for i in range(batch)]
    smiles = [
      generator.generate(faces, points, labels) for generator in (one, other)
    ]
    for first, second in (
      [s.frames for s in smiles],
      [s.landmark_images for s in smiles],
    ):
      if first is not None:
        difference = np.abs(first.astype(int) - second.astype(int))
        largest = max(largest, int(difference.max()))
  return largest


def write(workdir: str, model: str, file: str | os.PathLike) -> str:
  """Writes a run's generator, after comparing it with the live one.

  Returns:
    A sentence about the file.

  Raises:
    OSError, ValueError: the run is not trained, the file cannot be written, or
      the exported generator differs from the live one.
  """
  file = pathlib.Path(file)
  content = serialize(workdir, model)
  difference = max_difference(
    inference.SmileGenerator(workdir, model),
    ExportedGenerator(content, str(file)),
  )
  if difference > _TOLERANCE:
    raise ValueError(
      f"The exported generator differs from the live one by {difference} of "
      f"255 gray levels, where at most {_TOLERANCE} is expected; {file} is not "
      "written."
    )
  atomic.write_atomically(file, content)
  return (
    f"{file}: {len(content) / 1e6:.1f} MB for {', '.join(PLATFORMS)}; at most "
    f"{difference} of 255 gray levels from the live generator on this CPU."
  )


def _digest(program, about):
  """Of the program and of the description."""
  description = json.dumps(about, sort_keys=True).encode()
  return hashlib.sha256(program + description).hexdigest()

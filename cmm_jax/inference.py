"""From a photo to smile videos, with trained weights."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import full_size
from cmm_jax.preprocess import align, detectors, faces, neutral
from cmm_jax.preprocess import photo as photos
from cmm_jax.smiles import Smiles

# The longest side of full-size videos, unless another is asked for: what phones
# and browsers play.
MAX_SIZE = 3840


@dataclasses.dataclass(frozen=True, eq=False)
class AlignedFace:
  """A face of a photo.

  Attributes:
    photo: with the place of the face.
    frame: the aligned face.
    points: its landmarks, in pixels of the aligned face.
    name: of the photo.
    findings: in which ways the face is not neutral.
  """

  photo: full_size.Photo
  frame: UInt8[np.ndarray, "h w 3"]
  points: Float[np.ndarray, "68 2"]
  name: str
  findings: tuple[neutral.Finding, ...] = ()

  @property
  def photo_points(self) -> Float[np.ndarray, "68 2"]:
    """The landmarks in pixels of the photo."""
    return self.photo.to_frame.inverse_transform(self.points)


class Generator:
  """What generators have in common: photos and arrays in, `Smiles` out.

  Attributes:
    labels: the kinds of smile that the model was trained for.
    image_size: height and width of the aligned faces, in pixels.
    detector: finds faces in photos; `preprocess.detectors` has several.
  """

  def __init__(
    self,
    program: Callable[[dict[str, np.ndarray]], dict[str, Any]],
    labels: Sequence[str],
    image_size: int,
  ):
    """Wraps `program(inputs)` (`generate_step.on_local_devices`)."""
    self._program = program
    self.labels = list(labels)
    self.image_size = image_size
    self.detector = detectors.get_detector("mediapipe")

  def __call__(
    self,
    photo: Any,
    label: str,
    *,
    strength: float = 1.0,
    face: int | None = None,
    max_size: int | None = MAX_SIZE,
  ) -> Smiles:
    """Generates the smiles of one or several photos.

    Args:
      photo: a path, or an RGB image as uint8 [h w 3], or a sequence of these.
      label: one of `labels`.
      strength: how far the smiles go, from 0 (still) over 1 (as learned) to
        1.5.
      face: which face of a photo, counted from the left from 1 on; by default
        the largest, with a warning if there are more.
      max_size: larger photos are reduced to this longest side, in pixels; None
        leaves all as they are.

    Raises:
      ValueError: an argument is invalid, or a photo shows no usable face.
      OSError: a photo cannot be read.
    """
    self.check_label(label)
    is_several = isinstance(photo, Sequence) and not isinstance(photo, str)
    several = photo if is_several else [photo]
    if not several:
      raise ValueError("No photos were given.")
    aligned = [
      self.align(one, f"photo_{number}", face=face, max_size=max_size)
      for number, one in enumerate(several, start=1)
    ]
    return self.smile(aligned, label, strength=strength)

  def smile(
    self, faces: Sequence[AlignedFace], label: str, *, strength: float = 1.0
  ) -> Smiles:
    """Generates the smiles of faces that `align` returned.

    Args:
      faces: at least one.
      label, strength: as in `__call__`.

    Raises:
      ValueError: the label is unknown, or the strength is out of range.
    """
    smiles = self.generate(
      np.stack([face.frame for face in faces]),
      np.stack([face.points for face in faces]),
      label,
      strength=strength,
    )
    names = []
    for face in faces:
      name = face.name
      while name in names:
        name += "_2"
      names.append(name)
    return dataclasses.replace(
      smiles, photos=tuple(face.photo for face in faces), names=tuple(names)
    )

  def generate(
    self,
    faces: UInt8[np.ndarray, "b h w 3"],
    points: Float[np.ndarray, "b 68 2"],
    labels: str | Sequence[str],
    *,
    strength: float = 1.0,
  ) -> Smiles:
    """Generates the smiles of aligned faces.

    Args:
      faces: aligned by `preprocess.align`, `image_size` wide.
      points: their landmarks, in pixels of the aligned faces.
      labels: one of `self.labels`, for all faces or for each.
      strength: as in `__call__`.

    Raises:
      ValueError: a label is unknown, the strength is out of range, or an array
        has another shape.
    """
    faces, points = np.asarray(faces), np.asarray(points, np.float32)
    if isinstance(labels, str):
      labels = [labels] * len(faces)
    for label in labels:
      self.check_label(label)
    if not 0 <= strength <= 1.5:
      raise ValueError(
        f"The strength is {strength}; give a number from 0 (still) to 1.5."
      )
    batch, size = len(labels), self.image_size
    expected = (batch, size, size, 3), (batch, 68, 2)
    shapes = faces.shape, points.shape
    if faces.dtype != np.uint8 or shapes != expected or not batch:
      raise ValueError(
        f"With {batch} labels, faces must be uint8 {list(expected[0])} and "
        f"their landmarks {list(expected[1])}, not {faces.dtype} "
        f"{list(faces.shape)} and {list(points.shape)}; preprocess.align makes "
        "such faces from photos."
      )
    numbers = np.array([self.labels.index(name) for name in labels], np.int32)
    inputs = {
      "first_frame": faces,
      "first_points": points,
      "label": numbers,
      "strength": np.full(batch, strength, np.float32),
    }
    return Smiles(**self._program(inputs), faces=faces)

  def check_label(self, label: str) -> None:
    """Raises a ValueError unless the model was trained for the label."""
    if label not in self.labels:
      raise ValueError(
        f"The model was not trained for the label {label!r}; choose one of "
        f"{', '.join(self.labels)}."
      )

  def align(
    self,
    photo: Any,
    name: str = "photo",
    *,
    face: int | None = None,
    max_size: int | None = MAX_SIZE,
  ) -> AlignedFace:
    """Detects and aligns a face of a photo; warns if it is not neutral.

    Args:
      photo, face, max_size: as in `__call__`, of one photo.
      name: what messages and folders call the photo, if it is an image.

    Raises:
      ValueError: the photo shows no usable face.
      OSError: the photo cannot be read.
    """
    image, source, name = self._read(photo, name, max_size)
    detected = self.detector.detect(image)
    if face is None and len(detected) > 1:
      warnings.warn(
        f"{source} shows {len(detected)} faces; the largest is taken. Choose "
        "another by its number from the left: --face=1.",
        stacklevel=2,
      )
    chosen = faces.choose(detected, face, source)
    aligned = self._align(image, chosen, name, source)
    for finding in aligned.findings:
      warnings.warn(finding.message, stacklevel=2)
    return aligned

  def align_all(
    self, photo: Any, name: str = "photo", *, max_size: int | None = MAX_SIZE
  ) -> list[AlignedFace]:
    """Detects and aligns every usable face of a photo, from the left.

    Faces that are too small are left out. No warnings: see `findings`.

    Args:
      photo, name, max_size: as in `align`.

    Raises:
      ValueError: the photo shows no usable face.
      OSError: the photo cannot be read.
    """
    image, source, name = self._read(photo, name, max_size)
    found = faces.from_left(faces.usable(self.detector.detect(image), source))
    return [self._align(image, face, name, source) for face in found]

  def _read(self, photo, name, max_size):
    """The image, what messages call it, and its name."""
    if isinstance(photo, np.ndarray):
      image, source = photo, name
      if image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
        raise ValueError(
          f"An image must be RGB as uint8 [h w 3], not {image.dtype} "
          f"{list(image.shape)}; give a path, and it is converted."
        )
    elif not isinstance(photo, str | os.PathLike):
      raise ValueError(
        f"A photo is a {type(photo).__name__}; give a path, or an RGB image as "
        "uint8 [h w 3]."
      )
    else:
      image, source = photos.read(photo), str(photo)
      name = pathlib.Path(photo).stem
    return full_size.limit_size(image, max_size), source, name

  def _align(self, image, face, name, source):
    to_frame = align.similarity(face.points, self.image_size)
    return AlignedFace(
      full_size.Photo(image, to_frame, self.image_size),
      to_frame.warp(image, self.image_size),
      to_frame.transform(face.points).astype(np.float32),
      name,
      tuple(neutral.find(face.points, source)),
    )


class SmileGenerator(Generator):
  """A trained model, ready to generate."""

  def __init__(
    self, source: str | os.PathLike | None = None, model: str = "cmm_net"
  ):
    """Loads the networks.

    Args:
      source: the folder of a run, or a file of weights; by default the weights
        that this package ships.
      model: the name of one of the models trained in the run.

    Raises:
      FileNotFoundError: the run or the model has not been trained.
      ValueError: there is no such model, or the file is damaged.
    """
    from cmm_jax import generate_step

    built, networks, labels, image_size = load_model(source, model)
    program = generate_step.on_local_devices(built.generate, networks)
    super().__init__(program, labels, image_size)


def load_model(
  source: str | os.PathLike | None, model: str
) -> tuple[Any, Any, list[str], int]:
  """Loads a trained model.

  Args:
    source, model: as in `SmileGenerator`.

  Returns:
    The `Model`, its networks as `Model.generate` takes them, the labels that it
    was trained for, and the height and width of its faces.

  Raises:
    FileNotFoundError: the run or the model has not been trained.
    ValueError: there is no such model, or the file is damaged.
  """
  from cmm_jax import weights
  from cmm_jax.models import registry

  config, labels = weights.read_config(source)
  built = registry.build(config, len(labels), model)
  networks = {
    phase: weights.read_networks(source, dict.fromkeys(names, phase))
    for phase, names in built.inference_networks().items()
  }
  return built, networks, labels, config.data.image_size

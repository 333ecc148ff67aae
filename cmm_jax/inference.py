"""From a photo to smile videos, with the weights of a run."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

FRAMES_PER_SECOND = 20
_VIDEO_SCALE = 4  # frames of 64 pixels are too small to watch


@dataclasses.dataclass(frozen=True, eq=False)
class Smiles:
  """Generated sequences: s = K+1 of each of b faces, or one from a baseline.

  Attributes:
    landmark_images: grayscale, or None from a baseline.
    frames: RGB. The first sequence is the conditional LSTM's, the others are
      the modes'.
    faces: the aligned faces that they were generated from.
    names: a name for each face, used for its folder.
  """

  landmark_images: UInt8[np.ndarray, "b s t h w"] | None
  frames: UInt8[np.ndarray, "b s t h w 3"]
  faces: UInt8[np.ndarray, "b h w 3"] | None = None
  names: tuple[str, ...] = ()

  @property
  def sequence_names(self) -> tuple[str, ...]:
    """The names of the s sequences."""
    num_modes = self.frames.shape[1] - 1
    if not num_modes:
      return ("smile",)
    return ("conditional", *(f"mode_{k + 1}" for k in range(num_modes)))

  def __len__(self) -> int:
    return len(self.frames)

  def __getitem__(self, index: int) -> "Smiles":
    """The sequences of one face."""
    index = range(len(self))[index]
    one = slice(index, index + 1)
    images, faces = self.landmark_images, self.faces
    return Smiles(
      None if images is None else images[one],
      self.frames[one],
      None if faces is None else faces[one],
      self.names[one],
    )

  def save(self, folder: str | os.PathLike) -> None:
    """Writes an MP4 and a GIF of every sequence, a contact sheet and arrays.

    Several faces get a folder each, within `folder` and by their names.

    Raises:
      OSError: a file cannot be written.
    """
    folder = pathlib.Path(folder)
    if len(self) == 1:
      self._save_one(folder)
      return
    names = self.names or [f"face_{i + 1}" for i in range(len(self))]
    for i, name in enumerate(names):
      self[i]._save_one(folder / name)

  def _save_one(self, folder):
    from PIL import Image

    from cmm_jax import video

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    arrays = {"frames": self.frames[0]}
    if self.landmark_images is not None:
      arrays["landmark_images"] = self.landmark_images[0]
    if self.faces is not None:
      arrays["face"] = self.faces[0]
    for index, name in enumerate(self.sequence_names):
      shown = [self.frames[0, index]]
      rows.append((name.replace("_", " "), shown[0]))
      if self.landmark_images is not None:
        gray = self.landmark_images[0, index][..., None]
        shown.append(np.repeat(gray, 3, axis=-1))
        rows.append(("", shown[1]))
      frames = video.upscale(np.concatenate(shown, axis=1), _VIDEO_SCALE)
      video.write_mp4(folder / f"{name}.mp4", frames, FRAMES_PER_SECOND)
      video.write_gif(folder / f"{name}.gif", frames, FRAMES_PER_SECOND)
    sheet = video.contact_sheet(rows, columns=8, scale=2)
    Image.fromarray(sheet).save(folder / "contact_sheet.png")
    np.savez_compressed(
      folder / "smiles.npz", names=np.array(self.sequence_names), **arrays
    )


class Generator:
  """What generators have in common: photos and arrays in, `Smiles` out.

  Attributes:
    labels: the kinds of smile that the model was trained for.
    image_size: height and width of the aligned faces, in pixels.
  """

  def __init__(
    self,
    program: Callable[[dict[str, np.ndarray]], dict[str, Any]],
    labels: Sequence[str],
    image_size: int,
  ):
    """Wraps `program(inputs) -> {"landmark_images", "frames"}`."""
    self._program = program
    self.labels = list(labels)
    self.image_size = image_size
    self._detector = None

  def __call__(self, photos: Any, label: str) -> Smiles:
    """Generates the smiles of one or several photos.

    In each photo the largest face is taken, with a warning if there are more.

    Args:
      photos: a path, or an RGB image as uint8 [h w 3], or a sequence of these.
      label: one of `labels`.

    Raises:
      ValueError: the label is unknown, or a photo shows no usable face.
      OSError: a photo cannot be read.
    """
    self.check_label(label)
    if not isinstance(photos, Sequence) or isinstance(photos, str):
      photos = [photos]
    faces, points, names = [], [], []
    for number, photo in enumerate(photos, start=1):
      is_path = isinstance(photo, str | os.PathLike)
      name = pathlib.Path(photo).stem if is_path else f"photo_{number}"
      face, landmarks = self.align(photo, name)
      faces.append(face)
      points.append(landmarks)
      while name in names:
        name += "_2"
      names.append(name)
    if not faces:
      raise ValueError("No photos were given.")
    smiles = self.generate(
      np.stack(faces), np.stack(points), [label] * len(faces)
    )
    return dataclasses.replace(smiles, names=tuple(names))

  def generate(
    self,
    faces: UInt8[np.ndarray, "b h w 3"],
    points: Float[np.ndarray, "b 68 2"],
    labels: str | Sequence[str],
  ) -> Smiles:
    """Generates the smiles of aligned faces.

    Args:
      faces: aligned by `preprocess.align`, `image_size` wide.
      points: their landmarks, in pixels of the aligned faces.
      labels: one of `self.labels`, for all faces or for each.

    Raises:
      ValueError: a label is unknown, or an array has another shape.
    """
    faces, points = np.asarray(faces), np.asarray(points, np.float32)
    if isinstance(labels, str):
      labels = [labels] * len(faces)
    for label in labels:
      self.check_label(label)
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
    numbers = [self.labels.index(label) for label in labels]
    inputs = {
      "first_frame": faces,
      "first_points": points,
      "label": np.array(numbers, np.int32),
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
    self, photo: Any, source: str = "the photo"
  ) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]:
    """Detects and aligns the largest face of a photo.

    Args:
      photo: a path, or an RGB image as uint8 [h w 3].
      source: what messages call the photo, if it is an image.

    Returns:
      The aligned face, `image_size` wide, and its landmarks in its pixels.

    Raises:
      ValueError: the photo shows no usable face.
      OSError: the photo cannot be read.
    """
    from cmm_jax.preprocess import align, faces
    from cmm_jax.preprocess import photo as photos

    if self._detector is None:
      self._detector = faces.FaceDetector()
    if isinstance(photo, np.ndarray):
      image = photo
    elif not isinstance(photo, str | os.PathLike):
      raise ValueError(
        f"A photo is a {type(photo).__name__}; give a path, or an RGB image as "
        "uint8 [h w 3]."
      )
    else:
      image, source = photos.read(photo), str(photo)
    detected = self._detector.detect(image)
    face = faces.largest(detected, source)
    if len(detected) > 1:
      warnings.warn(
        f"{source} shows {len(detected)} faces; the largest is taken.",
        stacklevel=2,
      )
    return align.align(image, face.points, self.image_size)


class SmileGenerator(Generator):
  """A model that a run has trained, ready to generate."""

  def __init__(self, workdir: str | os.PathLike, model: str = "cmm_net"):
    """Loads the networks of a run.

    Args:
      workdir: the run's folder.
      model: the name of one of the models trained there.

    Raises:
      FileNotFoundError: the run or the model has not been trained.
      ValueError: there is no such model.
    """
    import jax

    from cmm_jax import runtime

    built, networks, labels, image_size = load_model(workdir, model)
    compiled = jax.jit(
      to_uint8(built.generate), compiler_options=runtime.compiler_options()
    )
    super().__init__(
      lambda inputs: jax.device_get(compiled(networks, inputs)),
      labels,
      image_size,
    )


def load_model(
  workdir: str | os.PathLike, model: str
) -> tuple[Any, Any, list[str], int]:
  """Loads what a run has trained of a model.

  Returns:
    The `Model`, its networks as `Model.generate` takes them, the labels that it
    was trained for, and the height and width of its faces.

  Raises:
    FileNotFoundError: the run or the model has not been trained.
    ValueError: there is no such model.
  """
  import jax

  from cmm_jax import checkpoints, run_config
  from cmm_jax.models import registry

  config, labels = run_config.read_config(workdir)
  built = registry.build(config, len(labels), model)
  networks = {
    phase: checkpoints.load_networks(workdir, dict.fromkeys(names, phase))
    for phase, names in built.inference_networks().items()
  }
  return built, jax.device_put(networks), labels, config.data.image_size


def to_uint8(generate: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
  """Wraps `Model.generate` to return uint8 arrays by name; traceable."""
  import jax.numpy as jnp

  def generate_uint8(networks, inputs):
    images, faces = generate(networks, inputs)
    if images is not None:
      images = jnp.round(255 * images[..., 0]).astype(jnp.uint8)
    frames = jnp.round(127.5 * (faces + 1)).astype(jnp.uint8)
    return {"landmark_images": images, "frames": frames}

  return generate_uint8

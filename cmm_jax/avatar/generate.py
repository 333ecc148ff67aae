"""From a label, and optionally a photo, to curves."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.avatar import arkit, fit, parts
from cmm_jax.avatar.curves import Curves
from cmm_jax.inference import Generator
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import scene

_OVERSAMPLING = 2.0


def generate(
  generator: Generator,
  label: str,
  photo: Any = None,
  *,
  strength: float = 1.0,
  face: int | None = None,
) -> Curves:
  """Generates the K+1 smiles of a face as blendshape curves.

  Args:
    generator: a trained CMM-Net.
    label: one of `generator.labels`.
    photo: a path, or an RGB image as uint8 [h w 3]; by default the avatar's own
      neutral face.
    strength: how far the smiles go, from 0 (still) over 1 (as learned) to 1.5.
    face: which face of the photo, counted from the left from 1 on; by default
      the largest.

  Raises:
    ValueError: an argument is invalid, the photo shows no usable face, or the
      model generates no landmark images.
    OSError: the photo cannot be read.
  """
  generator.check_label(label)
  if photo is None:
    frame, points = neutral_face(generator.image_size)
  else:
    aligned = generator.align(photo, face=face)
    frame, points = aligned.frame, aligned.points
  return of_face(generator, label, frame, points, strength=strength)


def of_face(
  generator: Generator,
  label: str,
  frame: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "68 2"],
  *,
  strength: float = 1.0,
) -> Curves:
  """Generates the K+1 smiles of an aligned face as blendshape curves.

  Args:
    generator, label, strength: as for `generate`.
    frame: the aligned face, `generator.image_size` wide.
    points: its landmarks in pixels of the frame.

  Raises:
    ValueError: an argument is invalid, or the model generates no landmark
      images.
  """
  smiles = generator.generate(
    frame[None], points[None], label, strength=strength
  )
  if smiles.landmark_images is None:
    raise ValueError(
      "The model generates no landmark images; curves need model=cmm_net."
    )
  images = smiles.landmark_images[0] / np.float32(255)
  in_images = landmarks.rescale(points, len(frame), images.shape[-1])
  weights = fit.fit_images(images, np.asarray(in_images))
  return Curves(weights, smiles.sequence_names, label=label)


def neutral_face(
  size: int,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "68 2"]]:
  """The avatar's own neutral face, rendered and aligned as photos are.

  Args:
    size: height and width of the frame in pixels.

  Returns:
    The frame, and its landmarks in pixels of the frame.
  """
  image, points = render(np.zeros(len(arkit.NAMES)), _OVERSAMPLING * size)
  return align.align(image, points, size)


def render(
  weights: Float[np.ndarray, "52"], face_side: float, margin: float = 1.12
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]:
  """Renders the avatar from the front.

  Args:
    weights: of `arkit.NAMES`; only those of smiles are shown.
    face_side, margin: as for `scene.render_image`.

  Returns:
    The square image, and the landmarks in its pixels.
  """
  surroundings = scene.Scene(
    pose=np.zeros((1, 3), np.float32),
    lights=np.array([[-0.4, 0.5, 0.77, 0.6, 0.6, 0.6]], np.float32),
    sky=np.full(3, 0.42, np.float32),
    ground=np.full(3, 0.25, np.float32),
    exposure=1.0,
    noise=0.0,
    noise_seed=0,
    backdrop=np.full((16, 16, 3), 0.5, np.float32),
  )
  return scene.render_image(
    parts.person(),
    np.asarray(weights, np.float32)[arkit.RENDERED_COLUMNS],
    np.zeros(2, np.float32),
    surroundings,
    0,
    face_side,
    margin,
  )

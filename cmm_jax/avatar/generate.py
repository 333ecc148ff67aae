"""From a label, and optionally a photo, to curves."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.avatar import fit, parts
from cmm_jax.avatar.curves import Curves
from cmm_jax.inference import Generator
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import expression, scene

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
  size = generator.image_size
  if photo is None:
    frame, points = neutral_face(size)
  else:
    aligned = generator.align(photo, face=face)
    frame, points = aligned.frame, aligned.points
  smiles = generator.generate(
    frame[None], points[None], label, strength=strength
  )
  if smiles.landmark_images is None:
    raise ValueError(
      "The model generates no landmark images; curves need model=cmm_net."
    )
  images = smiles.landmark_images[0] / np.float32(255)
  image_size = images.shape[-1]
  in_images = np.asarray(landmarks.rescale(points, size, image_size))
  return Curves(
    fit.fit_images(images, in_images), smiles.sequence_names, label=label
  )


def neutral_face(
  size: int,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "68 2"]]:
  """The avatar's own neutral face, rendered and aligned as photos are.

  Args:
    size: height and width of the frame in pixels.

  Returns:
    The frame, and its landmarks in pixels of the frame.
  """
  light = np.array([[-0.4, 0.5, 0.77, 0.6, 0.6, 0.6]], np.float32)
  surroundings = scene.Scene(
    pose=np.zeros((1, 3), np.float32),
    lights=light,
    sky=np.full(3, 0.42, np.float32),
    ground=np.full(3, 0.25, np.float32),
    exposure=1.0,
    noise=0.0,
    noise_seed=0,
    backdrop=np.full((16, 16, 3), 0.5, np.float32),
  )
  image, points = scene.render_image(
    parts.person(),
    np.zeros(len(expression.BLENDSHAPES), np.float32),
    np.zeros(2, np.float32),
    surroundings,
    0,
    _OVERSAMPLING * size,
  )
  return align.align(image, points, size)

"""A generator whose smile is known."""

import jax.numpy as jnp
import numpy as np

from cmm_jax import inference, landmarks
from cmm_jax.avatar import arkit

SIZE = 64


class SmilingGenerator(inference.Generator):
  """Moves the landmarks of its input by mouthSmile, in two sequences."""

  def __init__(self, source=None):
    super().__init__(self.smile_at, ["posed", "spontaneous"], SIZE)
    self.inputs = []

  def smile_at(self, inputs):
    self.inputs.append(inputs)
    offsets = SIZE * arkit.landmark_offsets()[..., :2]
    smile = sum(
      offsets[arkit.SMILE_NAMES.index(f"mouthSmile{side}")]
      for side in ("Left", "Right")
    )
    rise = np.linspace(0, inputs["strength"][0], 6)
    images = []
    for most in (0.8, 0.4):
      moved = inputs["first_points"][0] + most * rise[:, None, None] * smile
      images.append(np.asarray(landmarks.draw(jnp.asarray(moved), SIZE)))
    frames = np.zeros((1, 2, 6, SIZE, SIZE, 3), np.uint8)
    images = np.round(255 * np.stack(images)[None]).astype(np.uint8)
    return {"landmark_images": images, "frames": frames, "motion": None}

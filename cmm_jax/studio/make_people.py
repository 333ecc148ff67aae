"""Renders the people that the page offers to try.

python -m cmm_jax.studio.make_people

Of different ages and skin tones; none of them exists. The pictures are in the
package, this is how they were made.
"""

import pathlib

import numpy as np
from PIL import Image

from cmm_jax.virtual_face import appearance, expression, head, scene

FOLDER = pathlib.Path(__file__).parent / "people"

# Chosen among many for how they differ.
_IDENTITIES = (7, 19, 53, 56, 38)
_SEED = 2026
_PERSON, _SCENE = 0, 2  # purposes of the random generators
_FACE_SIDE = 760.0  # rendered, pixels
_MARGIN = 1.4
_SIDE = 480  # of the pictures


def render(identity: int) -> Image.Image:
  """Renders a person with a neutral face."""
  rng = np.random.default_rng([_SEED, identity, _PERSON])
  person = appearance.make_person(head.sample_shape(rng), rng)
  surroundings = scene.sample_scene(
    np.random.default_rng([_SEED, identity, _SCENE]), num_frames=2
  )
  image, _ = scene.render_image(
    person,
    np.zeros(len(expression.BLENDSHAPES), np.float32),
    np.zeros(2, np.float32),
    surroundings,
    0,
    _FACE_SIDE,
    _MARGIN,
  )
  return Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
  for number, identity in enumerate(_IDENTITIES, start=1):
    render(identity).save(FOLDER / f"rendered_{number}.jpg", quality=88)

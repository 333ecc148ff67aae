"""The preview of a clip."""

import io

import numpy as np
from PIL import Image

from cmm_jax.preprocess import preview, segment


def test_a_preview_shows_the_action_units_and_three_frames(posed_clip):
  png = preview.render(posed_clip, segment.Thresholds())

  with Image.open(io.BytesIO(png)) as image:
    pixels = np.asarray(image.convert("RGB"))
  assert pixels.shape == (192, 648 + 3 * 192, 3)
  first = preview.draw_landmarks(
    posed_clip.frames[0], posed_clip.landmarks[0], 192
  )
  np.testing.assert_array_equal(pixels[:, 648 : 648 + 192], np.asarray(first))
  red, green, blue = pixels[:, :648].transpose(2, 0, 1)
  assert ((red > 180) & (green < 80) & (blue < 80)).sum() > 100  # AU12

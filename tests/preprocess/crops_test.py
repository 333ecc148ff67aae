"""Resampled crops."""

import numpy as np
import pytest

from cmm_jax.preprocess import crops


def ramp(height=60, width=80):
  """An image whose red is twice the column and whose green is the row."""
  rows, columns = np.mgrid[:height, :width]
  return np.stack([2 * columns, rows, 0 * rows], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_pixels_and_points_move_alike(scale):
  crop = crops.crop(ramp(), (20, 10, 60, 50), scale)

  # The value at the center of the crop is that of its place in the image.
  height, width, _ = crop.pixels.shape
  assert (height, width) == (40 * scale, 40 * scale)
  row, column = height // 2, width // 2
  x, y = crop.to_image(np.array([[column, row]]))[0]
  np.testing.assert_allclose(crop.pixels[row, column, :2], [2 * x, y], atol=1.5)


def test_the_coordinate_maps_are_inverses():
  crop = crops.crop(ramp(), (-7, 3, 33, 50), 1.3)
  points = np.random.default_rng(0).uniform(0, 50, (9, 2))

  np.testing.assert_allclose(crop.to_crop(crop.to_image(points)), points)


def test_outside_the_image_its_edge_is_repeated():
  crop = crops.crop(ramp(), (-5, -5, 10, 10), 1)

  assert crop.pixels.shape == (15, 15, 3)
  np.testing.assert_array_equal(crop.pixels[:5, :5], 0)
  np.testing.assert_array_equal(crop.to_crop(np.zeros((1, 2))), [[5, 5]])


def test_the_region_around_a_box_has_its_margin_on_every_side():
  box = (10, 20, 29, 59)  # 20 by 40 pixels

  assert crops.box_side(box) == 40
  assert crops.around(box, 0.25) == (0, 10, 40, 70)

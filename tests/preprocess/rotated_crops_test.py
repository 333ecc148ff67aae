"""Rotated square crops."""

import numpy as np

from cmm_jax.preprocess import rotated_crops


def spot(center, size=(120, 160)):
  """An image with one bright, blurred spot."""
  y, x = np.mgrid[: size[0], : size[1]]
  gap = (x - center[0]) ** 2 + (y - center[1]) ** 2
  return np.repeat(np.uint8(255 * np.exp(-gap / 18))[..., None], 3, axis=-1)


def centroid(image):
  weights = image[..., 0].astype(float)
  y, x = np.mgrid[: image.shape[0], : image.shape[1]]
  return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def test_a_pixel_of_the_crop_is_where_the_map_says():
  place = np.array([70.0, 45.0])
  for side, size, angle in ((80, 80, 0.0), (64, 128, 0.5), (90, 45, -0.8)):
    square = rotated_crops.Square(np.array([75.0, 50.0]), side, angle)

    found = centroid(square.resample(spot(place), size))

    # The centers of pixels are whole numbers.
    back = square.to_image((found + 0.5) / size)
    np.testing.assert_allclose(back, place, atol=0.2)


def test_the_square_turns_clockwise():
  square = rotated_crops.Square(np.array([10.0, 10.0]), 4.0, np.pi / 2)

  corners = square.to_image(np.array([[0.0, 0.0], [1.0, 0.0]]))

  # Its top left corner is at the top right, its top side runs down.
  np.testing.assert_allclose(corners, [[12, 8], [12, 12]])


def test_a_square_of_all_pixels_is_the_image():
  image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
  square = rotated_crops.Square(np.array([3.5, 3.5]), 8.0)

  np.testing.assert_array_equal(square.resample(image, 8), image)


def test_outside_the_image_its_edge_is_repeated():
  image = np.full((10, 10, 3), 7, np.uint8)
  for center in ([0.0, 0.0], [30.0, -30.0]):
    square = rotated_crops.Square(np.array(center), 20.0, 0.3)

    np.testing.assert_array_equal(square.resample(image, 16), 7)

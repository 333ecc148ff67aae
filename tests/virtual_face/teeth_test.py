"""The open mouth: single teeth, their color, the dark around them."""

import numpy as np
import pytest

from tests.virtual_face import faces


def smile_with_teeth(seed):
  """A smile at 256 pixels: frame, landmarks, a row through the upper teeth."""
  frame, points = faces.render(seed, 256, au12=0.8, opening=1.0)
  upper, lower = points[62, 1], points[66, 1]
  return frame.astype(int), points, int(upper + 0.4 * (lower - upper))


@pytest.mark.parametrize("seed", range(4))
def test_teeth_are_lighter_and_less_red_than_the_lips(seed):
  frame, points, row = smile_with_teeth(seed)
  first, last = points[[61, 63], 0].astype(int)
  between = frame[row, first:last]
  brightest = between.sum(axis=-1).argsort()[-len(between) // 4 :]
  tooth = between[brightest].mean(axis=0)
  outer, inner = points[[57, 66], 1]
  lip = frame[int((outer + inner) / 2), first:last].mean(axis=0)
  assert tooth.mean() > lip.mean() + 20
  assert tooth[2] / tooth[0] > lip[2] / lip[0] + 0.1  # ivory, not pink
  assert tooth[0] >= tooth[2]  # not blue
  assert tooth.max() < 245  # not pure white


def test_a_shut_mouth_shows_no_teeth():
  frame, points = faces.render(au12=0.8)
  row, column = int(points[[62, 66], 1].mean()), int(points[62, 0])
  red, _, blue = frame[row, column].astype(int)
  assert red > 1.3 * blue


@pytest.mark.parametrize("seed", range(4))
def test_the_corners_of_the_mouth_are_dark(seed):
  frame, points, teeth_row = smile_with_teeth(seed)
  gray = frame.mean(axis=-1)
  (left, left_row), (right, right_row) = points[[60, 64]].astype(int)
  tooth = gray[teeth_row, left + 20 : right - 20].max()
  for x, y in ((left + 4, left_row), (right - 4, right_row)):
    assert gray[y - 2 : y + 3, x - 2 : x + 3].min() < 0.5 * tooth


def test_single_teeth_are_separated_by_darker_lines():
  frame, points, row = smile_with_teeth(1)
  first, last = points[[49, 53], 0].astype(int)
  line = frame[row - 2 : row + 2, first:last].mean(axis=(0, 2))
  is_minimum = (line[1:-1] < line[:-2]) & (line[1:-1] <= line[2:])
  assert 5 <= is_minimum.sum() <= 15


def test_teeth_differ_between_people_and_are_the_same_for_one():
  one, again, other = (faces.person(seed).teeth[0] for seed in (0, 0, 1))
  np.testing.assert_array_equal(one, again)
  assert np.abs(one - other).mean() > 0.01

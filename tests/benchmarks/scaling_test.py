"""The curves of time by size."""

import pytest

from benchmarks import flops, scaling


def test_the_exponent_of_a_power_is_found_and_plotted(tmp_path):
  seconds = {size: 0.5 * size**1.5 for size in (1, 3, 9, 27)}
  curve = scaling.CURVES[1]

  scaling.plot(curve, {"seconds": seconds}, tmp_path / "curve.png")

  assert scaling.exponent(seconds) == pytest.approx(1.5)
  assert (tmp_path / "curve.png").stat().st_size > 1000


def test_the_operations_of_every_curve_grow_with_its_size():
  for curve in scaling.CURVES:
    first, last = curve.case(curve.sizes[0]), curve.case(curve.sizes[-1])
    assert flops.count_case(first) < flops.count_case(last)

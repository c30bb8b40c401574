"""Charts: bins hold every finite value once, and any series can be drawn."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctai.report import charts
from tests.support.svg import ANY_FLOAT, coordinates

pytestmark = pytest.mark.unit


@settings(deadline=None)
@given(st.lists(ANY_FLOAT, max_size=60))
@example([0.0, 1.7e308])
@example([-1.7e308, 1.7e308])
def test_bins_hold_every_finite_value_once(values):
    bins = charts.compute_bins(values)
    assert sum(bin.n for bin in bins) == sum(math.isfinite(value) for value in values)
    if bins:
        coordinates(charts.draw_histogram("t", bins, "unit"))


def test_bins_hold_their_values():
    bins = charts.compute_bins([0.5, 1.5, 1.6, 9.5], target_count=10)
    assert [(bin.low, bin.high, bin.n) for bin in bins if bin.n] == [(0, 1, 1), (1, 2, 2), (9, 10, 1)]


@given(st.lists(st.tuples(st.integers(0, 1000).map(float), ANY_FLOAT), max_size=30))
def test_any_curve_can_be_drawn(points):
    markup = charts.draw_curve("t", sorted(points), sorted(points), "unit")
    assert not markup or coordinates(markup)

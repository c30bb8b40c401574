"""Drawings: values, intervals and thresholds lie on their axis, whatever a record holds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.records import Interval
from ctai.report import drawing
from tests.support.svg import ANY_FLOAT, coordinates

pytestmark = pytest.mark.unit


@given(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, st.sampled_from(["<", "<=", ">", ">=", "=="]), st.booleans())
def test_any_metric_can_be_drawn(value, low, high, threshold, comparison, good):
    markup = drawing.draw_threshold_axis("t", value, Interval(low=low, high=high), comparison, threshold, good=good)
    assert all(-8 <= x <= 258 for x in coordinates(markup))


def test_places_on_the_axis_are_those_of_the_values():
    scale = drawing.Scale(0.0, 1.0, 116, margin=8)
    assert [scale.x(value) for value in (0, 0.25, 1, 2, math.nan)] == [8, 33, 108, 108, 8]
    log = drawing.Scale(1e-4, 1.0, 116, log=True, margin=8)
    assert [round(log.x(value)) for value in (1e-4, 1e-2, 1, 0)] == [8, 58, 108, 8]


def test_a_missed_threshold_has_another_shape():
    met = drawing.draw_threshold_axis("t", 0.01, None, "<", 0.05, good=True)
    missed = drawing.draw_threshold_axis("t", 0.2, None, "<", 0.05, good=False)
    assert "<circle" in met
    assert "<polygon" in missed

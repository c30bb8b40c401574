"""Comparison of stored and recomputed values."""

import pytest

from ctai.rundir.diff import values_match

pytestmark = pytest.mark.unit


def test_counts_are_compared_exactly_and_other_numbers_up_to_a_tolerance():
    assert values_match({"p": 0.1}, {"p": 0.1 + 1e-12})
    assert not values_match({"p": 0.1}, {"p": 0.1 + 1e-8})
    assert values_match(float("nan"), float("nan"))
    assert not values_match(10_000_000_000, 10_000_000_001)
    assert values_match(1, 1.0)
    assert not values_match(1, True)
    assert not values_match([1], [1, 2])
    assert not values_match({"a": 1}, {})

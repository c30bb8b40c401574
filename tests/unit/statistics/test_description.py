"""Summary statistics."""

import math

import pytest

from ctai import statistics

pytestmark = pytest.mark.unit


def test_a_description_of_values() -> None:
    assert statistics.describe([float(value) for value in range(101)]) == statistics.SummaryStatistics(
        median=50.0, mean=50.0, p5=5.0, p95=95.0
    )
    assert statistics.describe([3]) == statistics.SummaryStatistics(3.0, 3.0, 3.0, 3.0)
    assert all(math.isnan(value) for value in statistics.describe([]))

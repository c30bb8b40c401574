"""Cohen's kappa."""

import math

import pytest

from ctai import statistics
from ctai.records import Interval

pytestmark = pytest.mark.unit


def test_kappa_by_hand() -> None:
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5, kappa 0.4."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = statistics.cohen_kappa(a, b)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.interval.low < 0.4 < kappa.interval.high
    assert statistics.cohen_kappa(a, a) == (1, Interval(low=1, high=1))
    assert math.isnan(statistics.cohen_kappa(["yes"], ["yes"]).value)

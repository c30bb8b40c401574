"""Corrected shares."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctai import statistics
from ctai.records import Interval

pytestmark = pytest.mark.unit


def test_corrected_share_by_hand() -> None:
    """Accepted 0.6, sensitivity 0.9, specificity 0.8: (0.6 + 0.8 - 1) / 0.7."""
    share = statistics.corrected_share(statistics.rate(600, 1000), statistics.rate(90, 100), statistics.rate(80, 100))
    assert share.value == pytest.approx(0.4 / 0.7)
    assert 0 <= share.interval.low < share.value < share.interval.high <= 1


def test_corrected_share_published() -> None:
    """Apparent prevalence 0.12 of 4910, sensitivity 80 of 100, specificity 979 of 1000 (as the R package asht has it)."""
    share = statistics.corrected_share(statistics.rate(589, 4910), statistics.rate(80, 100), statistics.rate(979, 1000))
    z = stats.norm.isf(0.025)
    q1, q0, p = 81 / 102, 980 / 1002, (589 + z * z / 2) / (4910 + z * z)
    v1, v0 = q1 * (1 - q1) / 102, q0 * (1 - q0) / 1002
    s = (p + q0 - 1) / (q1 + q0 - 1)
    half = z * math.sqrt(p * (1 - p) / (4910 + z * z) + s * s * v1 + (1 - s) ** 2 * v0) / (q1 + q0 - 1)
    center = s + 2 * z * z * (s * v1 - (1 - s) * v0)
    assert (share.interval.low, share.interval.high) == pytest.approx((center - half, center + half))


@pytest.mark.parametrize(("sensitivity", "specificity"), [((5, 10), (5, 10)), ((0, 0), (9, 10)), ((9, 10), (0, 0))])
def test_an_instrument_that_tells_nothing_corrects_nothing(
    sensitivity: tuple[int, int], specificity: tuple[int, int]
) -> None:
    share = statistics.corrected_share(
        statistics.rate(5, 10), statistics.rate(*sensitivity), statistics.rate(*specificity)
    )
    assert math.isnan(share.value)
    assert share.interval == Interval(low=0, high=1)


counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts, counts)
def test_corrected_share_stays_in_bounds_and_holds_the_estimate(
    accepted: tuple[int, int], sensitivity: tuple[int, int], specificity: tuple[int, int]
) -> None:
    share = statistics.corrected_share(
        statistics.rate(*accepted), statistics.rate(*sensitivity), statistics.rate(*specificity)
    )
    if not math.isnan(share.value):
        assert 0 <= share.interval.low <= share.value <= share.interval.high <= 1

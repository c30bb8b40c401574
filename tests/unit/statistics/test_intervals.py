"""Wilson intervals against published values and scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctai import statistics
from ctai.records import Metric

pytestmark = pytest.mark.unit


# Newcombe (1998), Statistics in Medicine 17:857, table I, method 3 (rows without few successes)
@pytest.mark.parametrize(("k", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)])
def test_wilson_published(k: int, n: int, low: float, high: float) -> None:
    interval = statistics.wilson_interval(k, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_wilson_beside_few_successes_is_the_one_sided_exact_limit(k: int) -> None:
    low = statistics.wilson_interval(k, 50).low
    assert stats.binom.sf(k - 1, 50, low) == pytest.approx(0.04)
    assert low < stats.binomtest(k, 50).proportion_ci(0.95, method="wilson").low
    assert statistics.wilson_interval(50 - k, 50).high == pytest.approx(1 - low)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.7, 0.999))
def test_wilson_is_at_least_that_of_scipy_and_holds_the_estimate(counts: tuple[int, int], confidence: float) -> None:
    k, n = counts
    interval = statistics.wilson_interval(k, n, confidence)
    score = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    exact = stats.binomtest(k, n).proportion_ci(1 - 1.6 * (1 - confidence), method="exact")
    assert interval.low == pytest.approx(min(score.low, exact.low) if k else 0, abs=1e-9)
    assert interval.high == pytest.approx(max(score.high, exact.high) if k < n else 1, abs=1e-9)
    assert 0 <= interval.low <= k / n <= interval.high <= 1


def test_wilson_of_nothing_says_nothing_and_passes_no_threshold() -> None:
    empty = statistics.rate(0, 0)
    assert (empty.interval.low, empty.interval.high) == (0, 1)
    assert not Metric(name="x", value=empty.value, comparison="<", threshold=1).passed
    assert not Metric(name="x", value=empty.value, comparison=">=", threshold=0).passed


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (1, 0)])
def test_wilson_refuses_what_is_no_proportion(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        statistics.wilson_interval(k, n)

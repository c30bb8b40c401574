"""Design effects and clustered rates."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai import statistics
from ctai.records import Interval

pytestmark = pytest.mark.unit


def test_planned_design_effect_by_hand() -> None:
    """Sizes 10, 20, 30: the mean size of the family of an item is 1400 / 60."""
    assert statistics.planned_design_effect([10, 20, 30], 0.05) == pytest.approx(1 + (1400 / 60 - 1) * 0.05)
    assert statistics.planned_design_effect([1] * 9, 0.5) == 1
    assert statistics.planned_design_effect([50], -0.1) == 1


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40), st.floats(0, 1))
def test_planned_design_effect_grows_with_correlation(sizes: list[int], correlation: float) -> None:
    effect = statistics.planned_design_effect(sizes, correlation)
    assert 1 <= effect <= statistics.planned_design_effect(sizes, 1.0) <= max(sizes) + 1e-9


@pytest.mark.parametrize("sizes", [[], [0], [-1, 5]])
def test_planned_design_effect_refuses_what_are_no_sizes(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="no clusters of items"):
        statistics.planned_design_effect(sizes, 0.05)


def test_observed_design_effect_of_clusters_of_equal_items_is_their_size() -> None:
    """A cluster of 10 equal items tells as much as one item; the factor is G / (G - 1)."""
    values = [float(cluster % 2) for cluster in range(20) for _ in range(10)]
    clusters = [f"c{cluster}" for cluster in range(20) for _ in range(10)]
    assert statistics.observed_design_effect(values, clusters) == pytest.approx(10 * 20 / 19 * 199 / 200)
    spread = [float(item % 2) for item in range(200)]
    assert statistics.observed_design_effect(spread, clusters) == 1


@pytest.mark.parametrize(("values", "clusters"), [([1.0, 1.0], ["a", "b"]), ([1.0, 0.0], ["a", "a"])])
def test_observed_design_effect_that_cannot_be_estimated_is_nan(values: list[float], clusters: list[str]) -> None:
    assert math.isnan(statistics.observed_design_effect(values, clusters))


def test_clustered_rate_by_hand() -> None:
    """Half of 20 families fail entirely."""
    successes = [cluster % 2 == 0 for cluster in range(20) for _ in range(10)]
    clusters = [f"c{cluster}" for cluster in range(20) for _ in range(10)]
    rate = statistics.clustered_rate(successes, clusters, 0.05)
    assert (rate.k, rate.n, rate.value, rate.clusters) == (100, 200, 0.5, 20)
    assert rate.effective_n == pytest.approx(19 * 200 / 199)
    assert rate.interval == statistics.wilson_interval(rate.effective_n / 2, rate.effective_n, df=19)


def test_clustered_rate_without_failures_uses_the_planned_design_effect() -> None:
    rate = statistics.clustered_rate([True] * 100, [f"c{i // 10}" for i in range(100)], 0.05)
    assert rate.design_effect == pytest.approx(1.45)
    assert rate.interval.high == 1
    assert rate.interval.low == pytest.approx(statistics.wilson_interval(100 / 1.45, 100 / 1.45, df=9).low)


def test_clustered_rate_of_nothing_passes_no_threshold() -> None:
    rate = statistics.clustered_rate([], [], 0.05)
    assert math.isnan(rate.value)
    assert (rate.n, rate.clusters, rate.interval) == (0, 0, Interval(low=0, high=1))


def test_clustered_rate_of_few_clusters_takes_the_given_design_effect() -> None:
    clusters = [f"c{i % 4}" for i in range(40)]
    rate = statistics.clustered_rate([i < 20 for i in range(40)], clusters, 0.05, design_effect=2.0)
    assert rate.interval == statistics.wilson_interval(10, 20)
    planned = statistics.clustered_rate([i < 20 for i in range(40)], clusters, 0.05)
    assert planned.design_effect == pytest.approx(1.45)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=200), st.floats(0, 0.3))
def test_clustered_rate_is_never_narrower_than_that_of_independent_items(
    items: list[tuple[bool, int]], correlation: float
) -> None:
    rate = statistics.clustered_rate([s for s, _ in items], [str(c) for _, c in items], correlation)
    independent = statistics.rate(rate.k, rate.n)
    assert 0 <= rate.interval.low <= independent.interval.low + 1e-12
    assert independent.interval.high - 1e-12 <= rate.interval.high <= 1
    assert rate.design_effect >= 1
    assert rate.effective_n == pytest.approx(rate.n / rate.design_effect)

"""McNemar's test, Cohen's h and Tango's interval against published values and properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from ctai import statistics
from tests.support.paired import paired

pytestmark = pytest.mark.unit

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


# vignette on McNemar's test of the R package exact2x2; Bentur et al. in Fagerland, Lydersen and Laake (2013)
@pytest.mark.parametrize(
    ("table", "p_value"), [((2, 9, 21, 12), 0.06543), ((9, 2, 21, 12), 0.06543), ((1, 7, 1, 12), 0.0703)]
)
def test_mcnemar_exact_published(table: tuple[int, int, int, int], p_value: float) -> None:
    result = statistics.mcnemar(*paired(*table))
    assert (result.only_base, result.only_sft, result.exact) == (*table[:2], True)
    assert result.p_value == pytest.approx(p_value, abs=5e-5)
    assert result.statistic == min(table[:2])


def test_mcnemar_corrected_chi_squared_published() -> None:
    """Example of Cardillo's `mcnemar` (2007): 20.672222, p = 0.000005, as (|121 - 59| - 1)^2 / 180."""
    result = statistics.mcnemar(*paired(121, 59, both=101, neither=33))
    assert not result.exact
    assert result.statistic == pytest.approx(61**2 / 180)
    assert result.p_value == pytest.approx(stats.chi2.sf(61**2 / 180, 1))


@pytest.mark.parametrize(("discordant", "exact"), [(24, True), (25, False)])
def test_mcnemar_is_exact_below_25_discordant_pairs(discordant: int, exact: bool) -> None:
    assert statistics.mcnemar(*paired(3, discordant - 3, both=50)).exact is exact


def test_mcnemar_without_discordant_pairs_finds_nothing() -> None:
    assert statistics.mcnemar(*paired(0, 0, both=5, neither=5)).p_value == 1


@given(st.integers(0, 24).flatmap(lambda d: st.tuples(st.integers(0, d), st.just(d))))
def test_mcnemar_exact_is_the_binomial_test(counts: tuple[int, int]) -> None:
    only_base, discordant = counts
    expected = stats.binomtest(only_base, discordant).pvalue if discordant else 1.0
    assert statistics.mcnemar(*paired(only_base, discordant - only_base)).p_value == pytest.approx(expected)


@given(pairs)
def test_mcnemar_of_swapped_arms_swaps_the_counts_only(items: list[tuple[bool, bool]]) -> None:
    base, sft = zip(*items, strict=True)
    forward, swapped = statistics.mcnemar(base, sft), statistics.mcnemar(sft, base)
    assert (forward.only_base, forward.only_sft, forward.p_value) == (
        swapped.only_sft,
        swapped.only_base,
        swapped.p_value,
    )


def test_unpaired_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="not paired"):
        statistics.mcnemar([True], [True, False])


# Cohen (1988), table 6.2.2: phi(.05) 0.451, phi(.10) 0.644, phi(.25) 1.047, phi(.50) 1.571, phi(.90) 2.498
@pytest.mark.parametrize(
    ("p1", "p2", "h"),
    [(0.5, 0.25, 0.524), (0.1, 0.05, 0.193), (0.5, 0.9, -0.927), (1, 0, math.pi), (0.3, 0.3, 0)],
)
def test_cohens_h_published(p1: float, p2: float, h: float) -> None:
    assert statistics.cohens_h(p1, p2) == pytest.approx(h, abs=1.1e-3)


def restricted_variance(only_base: int, only_sft: int, n: int, difference: float) -> float:
    """Variance of only_sft - only_base at the maximum of the multinomial likelihood under a difference, found numerically."""

    def negative_log_likelihood(p: float) -> float:
        cells = [(only_base, p), (only_sft, p + difference), (n - only_base - only_sft, 1 - 2 * p - difference)]
        return -sum(count * math.log(probability) for count, probability in cells if count)

    bounds = (max(0.0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9)
    p = optimize.minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
    return n * (2 * p + difference - difference**2)


@pytest.mark.parametrize("table", [(0, 1, 44), (1, 7, 26), (12, 30, 350), (40, 3, 90)])
def test_paired_interval_ends_where_the_score_test_rejects(table: tuple[int, int, int]) -> None:
    only_base, only_sft, n = table
    interval = statistics.paired_interval(only_base, only_sft, n)
    for limit in (interval.low, interval.high):
        variance = restricted_variance(only_base, only_sft, n, limit)
        assert abs(only_sft - only_base - n * limit) / math.sqrt(variance) == pytest.approx(1.959964, abs=1e-4)


@pytest.mark.parametrize("n", [1, 30, 350.5])
def test_paired_interval_of_no_discordant_pairs_has_a_width(n: float) -> None:
    z2 = stats.norm.isf(0.025) ** 2
    interval = statistics.paired_interval(0, 0, n)
    assert (interval.low, interval.high) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))


tables = st.tuples(st.floats(0, 300), st.floats(0, 300), st.floats(0.01, 500)).map(lambda t: (t[0], t[1], sum(t)))


@given(tables, st.none() | st.integers(1, 40))
def test_paired_interval_holds_the_estimate_and_swaps_with_the_arms(
    table: tuple[float, float, float], df: int | None
) -> None:
    only_base, only_sft, n = table
    interval = statistics.paired_interval(only_base, only_sft, n, df=df)
    assert -1 <= interval.low <= (only_sft - only_base) / n <= interval.high <= 1
    swapped = statistics.paired_interval(only_sft, only_base, n, df=df)
    assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))
def test_paired_interval_excludes_zero_where_the_score_test_rejects(only_base: int, only_sft: int, rest: int) -> None:
    interval = statistics.paired_interval(only_base, only_sft, only_base + only_sft + rest)
    discordant = only_base + only_sft
    rejected = discordant > 0 and (only_sft - only_base) ** 2 / discordant > stats.norm.isf(0.025) ** 2
    assert (not interval.low <= 0 <= interval.high) == rejected


def test_paired_interval_excludes_zero_only_beside_a_small_exact_p_value() -> None:
    """The issue's case, 3 against 0 of 350 with p = .25, and every other table of up to 60 discordant pairs."""
    for discordant in range(1, 41):
        for only_base in range(discordant // 2):
            if statistics.paired_interval(only_base, discordant - only_base, 350).low > 0:
                assert statistics.mcnemar(*paired(only_base, discordant - only_base)).p_value <= 0.125
    assert statistics.paired_interval(0, 3, 350).low < 0 < statistics.paired_interval(0, 4, 350).low


def test_paired_interval_widens_with_few_degrees_of_freedom_and_fewer_items() -> None:
    widths = [
        interval.high - interval.low
        for interval in (
            statistics.paired_interval(10, 30, 400),
            statistics.paired_interval(10, 30, 400, df=25),
            statistics.paired_interval(5, 15, 200, df=25),
            statistics.paired_interval(5, 15, 200, df=4),
        )
    ]
    assert widths == sorted(widths)


@pytest.mark.parametrize("table", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_paired_interval_refuses_what_is_no_table(table: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="are no table"):
        statistics.paired_interval(*table)

"""Statistics against published worked examples and against independent computations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ctai import statistics
from ctai.records import Interval, Metric

pytestmark = pytest.mark.unit


def paired(only_base: int, only_sft: int, both: int = 0, neither: int = 0) -> tuple[list[bool], list[bool]]:
    """Outcomes of two arms with the given table."""
    cells = [
        ((True, False), only_base),
        ((False, True), only_sft),
        ((True, True), both),
        ((False, False), neither),
    ]
    items = [outcome for outcome, count in cells for _ in range(count)]
    return [base for base, _ in items], [sft for _, sft in items]


flags = st.lists(st.booleans(), min_size=1, max_size=80)
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


# Newcombe (1998), Statistics in Medicine 17:857, table I, method 3
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published(k: int, n: int, low: float, high: float) -> None:
    interval = statistics.wilson_interval(k, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_equals_scipy_and_holds_the_estimate(counts: tuple[int, int], confidence: float) -> None:
    k, n = counts
    interval = statistics.wilson_interval(k, n, confidence)
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
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


BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
           0.6528, 0.7590, 1.0000]  # fmt: skip


def test_benjamini_hochberg_published() -> None:
    """Benjamini and Hochberg (1995), section 4: four of fifteen at 0.05."""
    adjusted = statistics.benjamini_hochberg(BH_1995, 0.05)
    assert adjusted.significant == (True,) * 4 + (False,) * 11


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.01, 0.5), st.randoms())
def test_benjamini_hochberg_equals_scipy_and_keeps_the_order(p_values: list[float], fdr: float, rng) -> None:
    rng.shuffle(p_values)
    adjusted = statistics.benjamini_hochberg(p_values, fdr)
    expected: tuple[float, ...] = tuple(stats.false_discovery_control(p_values)) if p_values else ()
    assert adjusted.p_values == pytest.approx(expected)
    assert all(p <= fdr * (1 + 1e-9) for p, significant in zip(*adjusted, strict=True) if significant)


def test_benjamini_hochberg_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not all are p-values"):
        statistics.benjamini_hochberg([0.1, math.nan], 0.1)


def test_bootstrap_agrees_with_the_normal_interval_on_large_samples() -> None:
    interval = statistics.bootstrap_lift(*paired(100, 300, both=300, neither=300), samples=4999, seed=1)
    half = 1.96 * math.sqrt((0.4 - 0.2**2) / 1000)
    assert (interval.low, interval.high) == pytest.approx((0.2 - half, 0.2 + half), abs=0.005)


def test_bootstrap_is_a_function_of_its_seed() -> None:
    arms = paired(20, 31, both=20, neither=17)
    first, repeat, reseeded = (statistics.bootstrap_lift(*arms, samples=999, seed=seed) for seed in (1, 1, 2))
    assert first == repeat
    assert first != reseeded


@pytest.mark.parametrize(
    ("arms", "lift"),
    [(paired(0, 0, both=9, neither=9), 0), (paired(0, 9), 1), (paired(9, 0), -1), (paired(0, 1), 1)],
)
def test_bootstrap_of_pairs_that_differ_alike_is_the_lift(arms: tuple[list[bool], list[bool]], lift: int) -> None:
    interval = statistics.bootstrap_lift(*arms, samples=99, seed=0)
    assert (interval.low, interval.high) == (lift, lift)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_bootstrap_is_never_nan_and_within_bounds(items: list[tuple[bool, bool]]) -> None:
    base, sft = zip(*items, strict=True)
    interval = statistics.bootstrap_lift(base, sft, samples=99, seed=0)
    assert -1 <= interval.low <= interval.high <= 1


def test_compare_paired_names_arms_and_adjusts_types_together() -> None:
    better, worse, same = paired(1, 30, both=5), paired(30, 0, both=5), paired(4, 4, both=20)
    base = better[0] + worse[0] + same[0]
    sft = better[1] + worse[1] + same[1]
    types = ["better"] * 36 + ["worse"] * 35 + ["same"] * 28
    overall, by_type = statistics.compare_paired(base, sft, types, samples=199)
    assert (overall.n, overall.base.k, overall.sft.k) == (99, 1 + 5 + 35 + 24, 35 + 5 + 24)
    assert overall.lift == pytest.approx((64 - 65) / 99)
    assert overall.p_adjusted is None
    assert [by_type[kind].significant for kind in ("better", "worse", "same")] == [True, True, False]
    assert [by_type[kind].regression for kind in ("better", "worse", "same")] == [False, True, False]
    assert by_type["better"].lift > 0
    assert by_type["better"].cohens_h > 0
    unadjusted = [by_type[kind].mcnemar.p_value for kind in sorted(by_type)]
    adjusted = [by_type[kind].p_adjusted for kind in sorted(by_type)]
    assert adjusted == pytest.approx(statistics.benjamini_hochberg(unadjusted, 0.10).p_values)


@pytest.mark.parametrize(("n", "alpha"), [(12, 0.05), (12, 0.2), (32, 0.05)])
def test_power_equals_enumeration_of_every_table(n: int, alpha: float) -> None:
    lift, discordance = 0.3, 0.7
    win, loss = (discordance + lift) / 2, (discordance - lift) / 2
    total = 0.0
    for wins, losses in itertools.product(range(n + 1), repeat=2):
        if wins + losses <= n and wins > losses and statistics.mcnemar(*paired(losses, wins)).p_value < alpha:
            total += stats.multinomial.pmf([wins, losses, n - wins - losses], n, [win, loss, 1 - discordance])
    assert statistics.mcnemar_power(n, lift, discordance, alpha) == pytest.approx(total)


def test_power_agrees_with_the_published_sample_size() -> None:
    """Connor (1987), Biometrics 43:207, without continuity correction: pairs for a power of 80% at alpha 0.01."""
    z_alpha, z_beta = stats.norm.isf(0.005), stats.norm.isf(0.20)
    connor = (z_alpha * math.sqrt(0.30) + z_beta * math.sqrt(0.30 - 0.01)) ** 2 / 0.01
    fewer, more = round(connor * 0.92), round(connor * 1.08)
    assert statistics.mcnemar_power(fewer, 0.10, 0.30) < 0.80 <= statistics.mcnemar_power(more, 0.10, 0.30)


def test_power_refuses_an_impossible_lift() -> None:
    with pytest.raises(ValueError, match="needs a discordance"):
        statistics.mcnemar_power(100, lift=0.3, discordance=0.2)


def test_kappa_by_hand() -> None:
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5, kappa 0.4."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = statistics.cohen_kappa(a, b)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.interval.low < 0.4 < kappa.interval.high
    assert statistics.cohen_kappa(a, a) == (1, Interval(low=1, high=1))
    assert math.isnan(statistics.cohen_kappa(["yes"], ["yes"]).value)


def test_balanced_accuracy_by_hand() -> None:
    labels = [True] * 20 + [False] * 100
    predictions = [True] * 15 + [False] * 5 + [True] * 10 + [False] * 90
    result = statistics.balanced_accuracy(labels, predictions)
    assert result.value == pytest.approx((0.75 + 0.90) / 2)
    assert (result.true_positives.k, result.true_negatives.k) == (15, 90)
    positives, negatives = statistics.wilson_interval(15, 20), statistics.wilson_interval(90, 100)
    below = math.hypot(0.75 - positives.low, 0.90 - negatives.low) / 2
    above = math.hypot(positives.high - 0.75, negatives.high - 0.90) / 2
    assert result.interval.low == pytest.approx(result.value - below)
    assert result.interval.high == pytest.approx(result.value + above)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_balanced_accuracy_stays_in_bounds_and_nan_passes_nothing(items: list[tuple[bool, bool]]) -> None:
    labels, predictions = [label for label, _ in items], [prediction for _, prediction in items]
    result = statistics.balanced_accuracy(labels, predictions)
    if len(set(labels)) == 2:
        assert 0 <= result.interval.low <= result.value <= result.interval.high <= 1
    else:
        assert math.isnan(result.value)


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
def test_auroc_is_the_share_of_ordered_pairs(items: list[tuple[bool, int]]) -> None:
    positive, negative = ([score for label, score in items if label is kind] for kind in (True, False))
    result = statistics.auroc([label for label, _ in items], [score for _, score in items])
    if not (positive and negative):
        assert math.isnan(result.value)
        return
    wins = sum((p > n) + 0.5 * (p == n) for p, n in itertools.product(positive, negative))
    assert result.value == pytest.approx(wins / len(positive) / len(negative))
    assert 0 <= result.interval.low <= result.value <= result.interval.high <= 1


def test_auroc_interval_covers_and_has_a_width_at_the_ends() -> None:
    """Normal scores one standard deviation apart have an area of Phi(1 / sqrt 2)."""
    truth, rng = stats.norm.cdf(1 / math.sqrt(2)), np.random.default_rng(0)
    labels = [True] * 25 + [False] * 40
    covered = 0
    for _ in range(400):
        scores = np.concatenate([rng.normal(1, 1, 25), rng.normal(0, 1, 40)])
        interval = statistics.auroc(labels, list(scores)).interval
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.985
    perfect = statistics.auroc([True] * 10 + [False] * 10, list(range(20, 0, -1)))
    assert perfect.value == perfect.interval.high == 1
    assert perfect.interval.low < 0.9


def test_auroc_of_nan_scores_is_nan() -> None:
    assert math.isnan(statistics.auroc([True, False], [math.nan, 0.0]).value)


def test_a_description_of_values() -> None:
    assert statistics.describe([float(value) for value in range(101)]) == statistics.SummaryStatistics(
        median=50.0, mean=50.0, p5=5.0, p95=95.0
    )
    assert statistics.describe([3]) == statistics.SummaryStatistics(3.0, 3.0, 3.0, 3.0)
    assert all(math.isnan(value) for value in statistics.describe([]))

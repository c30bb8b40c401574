"""Statistical methods: intervals, paired tests, effect sizes, power and agreement, based on scipy and statsmodels.

Owns the choice of methods and their conventions for degenerate data. Does not own thresholds (configuration) or
verdicts (`ctai.gates`). Each function names its method and source. Invalid arguments raise ValueError.
"""

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats import inter_rater, proportion
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_table
from statsmodels.stats.multitest import multipletests

from ctai.records import Interval, McNemar, PairedComparison, Rate

EXACT_BELOW = 25
"""Number of discordant pairs from which `mcnemar` uses the chi-squared approximation instead of the exact test."""

_NOTHING_KNOWN = Interval(low=0.0, high=1.0)


class Adjusted(NamedTuple):
    """Adjusted p-values and rejected hypotheses of the Benjamini-Hochberg procedure, in input order."""

    p_values: tuple[float, ...]
    significant: tuple[bool, ...]


class PairedResults(NamedTuple):
    """Comparison of two arms on the same items: over all items, and by type with adjusted p-values."""

    overall: PairedComparison
    by_type: dict[str, PairedComparison]


class BalancedAccuracy(NamedTuple):
    """Mean recall of the two classes. `value` is nan when a class has no items, and so passes no threshold."""

    value: float
    interval: Interval
    true_positives: Rate
    true_negatives: Rate


class Auroc(NamedTuple):
    """Area under the ROC curve. `value` is nan when a class has no items, and so passes no threshold."""

    value: float
    interval: Interval


class Kappa(NamedTuple):
    """Cohen's kappa of two raters. `value` is nan when fewer than two labels occur, and so passes no threshold."""

    value: float
    interval: Interval


class SummaryStatistics(NamedTuple):
    """Median, mean, and 5th and 95th percentile of values; all nan when there are no values."""

    median: float
    mean: float
    p5: float
    p95: float


def describe(values: Sequence[float]) -> SummaryStatistics:
    """Compute median, mean, and the 5th and 95th percentile (linear interpolation) of finite values."""
    if not values:
        return SummaryStatistics(*[math.nan] * 4)
    low, median, high = np.quantile(np.asarray(values, dtype=float), (0.05, 0.5, 0.95))
    return SummaryStatistics(float(median), float(np.mean(values)), float(low), float(high))


def wilson_interval(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Compute the Wilson score interval of a proportion (Wilson 1927; Newcombe 1998, method 3, without correction).

    Args:
        k: number of successes.
        n: number of trials; the interval is [0, 1] when it is 0.
        confidence: two-sided coverage.

    Raises:
        ValueError: `k` is not in [0, `n`].
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a proportion")
    if n == 0:
        return _NOTHING_KNOWN
    low, high = proportion.proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    # at the ends the limits are 0 and 1 exactly; rounding must not exclude the estimate itself
    return Interval(low=0.0 if k == 0 else float(low), high=1.0 if k == n else float(high))


def rate(k: int, n: int) -> Rate:
    """Return the proportion `k` of `n` with its 95% Wilson score interval; the value is nan when `n` is 0.

    Raises:
        ValueError: `k` is not in [0, `n`].
    """
    return Rate(k=k, n=n, value=k / n if n else math.nan, interval=wilson_interval(k, n))


def mcnemar(base: Sequence[bool], sft: Sequence[bool]) -> McNemar:
    """Test paired outcomes with McNemar's two-sided test (McNemar 1947).

    Below `EXACT_BELOW` (25) discordant pairs the p-value is exact (binomial with probability 1/2) and the statistic is
    the smaller count; from there on the test is chi-squared with one degree of freedom and the continuity correction
    of Edwards (1948).

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    _check_paired(base, sft)
    only_base = sum(b and not s for b, s in zip(base, sft, strict=True))
    only_sft = sum(s and not b for b, s in zip(base, sft, strict=True))
    exact = only_base + only_sft < EXACT_BELOW
    result = mcnemar_of_table([[0, only_base], [only_sft, 0]], exact=exact, correction=True)
    statistic, p_value = float(result.statistic), float(result.pvalue)
    return McNemar(only_base=only_base, only_sft=only_sft, statistic=statistic, p_value=p_value, exact=exact)


def cohens_h(p1: float, p2: float) -> float:
    """Compute the effect size Cohen's h (Cohen 1988, chapter 6).

    h = 2 asin sqrt(p1) - 2 asin sqrt(p2), positive when p1 > p2.
    """
    return float(proportion.proportion_effectsize(p1, p2))


def benjamini_hochberg(p_values: Sequence[float], fdr: float) -> Adjusted:
    """Adjust p-values with the step-up procedure that controls the false discovery rate (Benjamini and Hochberg 1995).

    Args:
        p_values: of the hypotheses; may be empty.
        fdr: false discovery rate.

    Raises:
        ValueError: a value is not in [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):  # also refuses nan
        raise ValueError(f"not all are p-values: {list(p_values)}")
    if not p_values:
        return Adjusted((), ())
    rejected, adjusted, _, _ = multipletests(p_values, alpha=fdr, method="fdr_bh")
    return Adjusted(tuple(float(p) for p in adjusted), tuple(bool(r) for r in rejected))


def bootstrap_lift(
    base: Sequence[bool], sft: Sequence[bool], samples: int, seed: int, confidence: float = 0.95
) -> Interval:
    """Compute the bootstrap interval of the lift, mean(sft) - mean(base), resampling pairs (BCa: Efron 1987).

    When all pairs have the same difference the interval is [lift, lift]; where BCa is undefined the percentile interval
    is returned. Limits are never nan.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        samples: number of bootstrap samples.
        seed: of the bootstrap.
        confidence: two-sided coverage.

    Raises:
        ValueError: the lengths differ, or there are no pairs.
    """
    _check_paired(base, sft)
    if not base:
        raise ValueError("no pairs to resample")
    differences = np.asarray(sft, dtype=float) - np.asarray(base, dtype=float)
    if np.all(differences == differences[0]):
        return Interval(low=float(differences[0]), high=float(differences[0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        result = stats.bootstrap(
            (differences,),
            np.mean,
            n_resamples=samples,
            batch=max(1, 1_000_000 // len(differences)),
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    limits = result.confidence_interval
    if math.isnan(limits.low) or math.isnan(limits.high):
        tail = (1 - confidence) / 2
        low, high = np.quantile(result.bootstrap_distribution, (tail, 1 - tail))
        return Interval(low=float(low), high=float(high))
    return Interval(low=float(limits.low), high=float(limits.high))


def compare(base: Sequence[bool], sft: Sequence[bool], samples: int = 9999, seed: int = 0) -> PairedComparison:
    """Compare two arms on the same items, at one success level.

    Rates have Wilson intervals, the lift a bootstrap interval; the test is `mcnemar`, the effect size `cohens_h`.
    `regression` is true when the 95% Wilson interval of SFT lies below that of the base.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ValueError: the lengths differ, or there are no items.
    """
    lift_interval = bootstrap_lift(base, sft, samples, seed)
    base_rate, sft_rate = rate(sum(base), len(base)), rate(sum(sft), len(sft))
    return PairedComparison(
        n=len(base),
        base=base_rate,
        sft=sft_rate,
        lift=sft_rate.value - base_rate.value,
        lift_interval=lift_interval,
        mcnemar=mcnemar(base, sft),
        cohens_h=cohens_h(sft_rate.value, base_rate.value),
        regression=sft_rate.interval.high < base_rate.interval.low,
    )


def compare_paired(
    base: Sequence[bool],
    sft: Sequence[bool],
    types: Sequence[str],
    *,
    fdr: float = 0.10,
    samples: int = 9999,
    seed: int = 0,
) -> PairedResults:
    """Compare two arms over all items and for each type, with `benjamini_hochberg` over the p-values of the types.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        types: the type of each item.
        fdr: false discovery rate over the types.
        samples: bootstrap samples for each comparison.
        seed: of the bootstrap.

    Raises:
        ValueError: the lengths differ, or there are no items.
    """
    _check_paired(base, types)
    comparisons = {}
    for kind in sorted(set(types)):
        indices = [i for i, label in enumerate(types) if label == kind]
        comparisons[kind] = compare([base[i] for i in indices], [sft[i] for i in indices], samples, seed)
    adjusted = benjamini_hochberg([c.mcnemar.p_value for c in comparisons.values()], fdr)
    by_type = {
        kind: comparison.model_copy(update={"p_adjusted": p, "significant": significant})
        for (kind, comparison), p, significant in zip(comparisons.items(), *adjusted, strict=True)
    }
    return PairedResults(compare(base, sft, samples, seed), by_type)


def mcnemar_power(n: int, lift: float, discordance: float, alpha: float = 0.01) -> float:
    """Compute the power of `mcnemar`: the probability that on `n` pairs it finds SFT better with p < alpha.

    Exact for the test as implemented by `mcnemar`, both branches included: a sum over the number of discordant pairs,
    which is binomial (n, discordance); SFT wins each of them with probability (discordance + lift) / (2 discordance).

    Args:
        n: number of pairs.
        lift: true difference of the success rates, sft - base.
        discordance: true rate of pairs on which the arms differ, at least `abs(lift)`.
        alpha: significance level, two-sided.

    Raises:
        ValueError: `discordance` is not in (0, 1], or is below `abs(lift)`.
    """
    if not (0 < discordance <= 1 and abs(lift) <= discordance):
        raise ValueError(f"a lift of {lift} needs a discordance in [{abs(lift)}, 1], not {discordance}")
    discordant = np.arange(n + 1)
    share = (discordance + lift) / (2 * discordance)
    power = stats.binom.sf(_wins_needed(discordant, alpha) - 1, discordant, share)
    return float(np.sum(stats.binom.pmf(discordant, n, discordance) * power))


def _wins_needed(discordant: NDArray[np.int_], alpha: float) -> NDArray[np.int_]:
    """Return the minimum number of discordant pairs won by SFT that gives p < alpha, for each number of discordant pairs.

    A number above that of the discordant pairs stands for none.
    """
    # chi-squared: (2 wins - discordant - 1)^2 / discordant above the critical value
    root = np.sqrt(stats.chi2.isf(alpha, 1) * discordant)
    needed: NDArray[np.int_] = np.floor((discordant + 1 + root) / 2).astype(int) + 1
    exact = discordant < EXACT_BELOW
    needed[exact] = [_wins_needed_exactly(int(pairs), alpha) for pairs in discordant[exact]]
    return needed


@lru_cache(maxsize=1024)
def _wins_needed_exactly(discordant: int, alpha: float) -> int:
    candidates = range(discordant // 2 + 1, discordant + 1)
    return next((k for k in candidates if 2 * stats.binom.sf(k - 1, discordant, 0.5) < alpha), discordant + 1)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> Kappa:
    """Compute Cohen's kappa of two raters (Cohen 1960) with a 95% interval.

    The interval is asymptotic (standard error: Fleiss, Cohen and Everitt 1969); it is [1, 1] for raters who never
    disagree, where no error can be estimated.

    Args:
        a: label of each item by the first rater.
        b: by the second rater, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    _check_paired(a, b)
    order = {label: i for i, label in enumerate(dict.fromkeys((*a, *b)))}
    if len(order) < 2:
        return Kappa(math.nan, Interval(low=-1.0, high=1.0))
    table = np.zeros((len(order), len(order)))
    for label_a, label_b in zip(a, b, strict=True):
        table[order[label_a], order[label_b]] += 1
    if np.trace(table) == len(a):
        return Kappa(1.0, Interval(low=1.0, high=1.0))
    with np.errstate(invalid="ignore", divide="ignore"):  # of a test statistic that is not used
        result = inter_rater.cohens_kappa(table)
    low, high = max(-1.0, float(result.kappa_low)), min(1.0, float(result.kappa_upp))
    return Kappa(float(result.kappa), Interval(low=low, high=high))


def balanced_accuracy(labels: Sequence[bool], predictions: Sequence[bool]) -> BalancedAccuracy:
    """Compute the balanced accuracy with a 95% interval.

    The interval of the mean of two independent proportions is recovered from their Wilson limits (MOVER: Zou and Donner
    2008, after Newcombe 1998, method 10).

    Args:
        labels: true class of each item.
        predictions: predicted class, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    _check_paired(labels, predictions)
    positive = [p for label, p in zip(labels, predictions, strict=True) if label]
    negative = [not p for label, p in zip(labels, predictions, strict=True) if not label]
    recalls = rate(sum(positive), len(positive)), rate(sum(negative), len(negative))
    if not (positive and negative):
        return BalancedAccuracy(math.nan, _NOTHING_KNOWN, *recalls)
    value = (recalls[0].value + recalls[1].value) / 2
    below = math.hypot(*(r.value - r.interval.low for r in recalls)) / 2
    above = math.hypot(*(r.interval.high - r.value for r in recalls)) / 2
    return BalancedAccuracy(value, Interval(low=value - below, high=value + above), *recalls)


def auroc(labels: Sequence[bool], scores: Sequence[float]) -> Auroc:
    """Compute the area under the ROC curve, the Mann-Whitney statistic with ties counted half, with a 95% interval.

    The interval is score-type (Newcombe 2006, part 2, method 5), so its width is positive even at area 1.

    Args:
        labels: true class of each item.
        scores: score of each item, in the same order; higher for the positive class.

    Raises:
        ValueError: the lengths differ.
    """
    _check_paired(labels, scores)
    positive = [s for label, s in zip(labels, scores, strict=True) if label]
    negative = [s for label, s in zip(labels, scores, strict=True) if not label]
    if not (positive and negative) or any(math.isnan(score) for score in scores):
        return Auroc(math.nan, _NOTHING_KNOWN)
    pairs = len(positive) * len(negative)
    area = float(stats.mannwhitneyu(positive, negative).statistic) / pairs
    return Auroc(area, _auroc_interval(area, len(positive), len(negative)))


def _auroc_interval(area: float, m: int, n: int, confidence: float = 0.95) -> Interval:
    """Return all areas t with |t - area| <= z sd(t), with the sd of Hanley and McNeil (1982) at the mean class size."""
    z, extra = stats.norm.isf((1 - confidence) / 2), (m + n) / 2 - 1

    def excess(t: float) -> float:
        variance = t * (1 - t) * (1 + extra * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)
        return float((t - area) ** 2 - z**2 * variance)

    # 0 and 1 have no variance: from an area there, the search starts just inside
    low = 0.0 if area == 0 else float(optimize.brentq(excess, 0.0, min(area, 1 - 1e-12)))
    high = 1.0 if area == 1 else float(optimize.brentq(excess, max(area, 1e-12), 1.0))
    return Interval(low=low, high=high)


def _check_paired(a: Sequence[object], b: Sequence[object]) -> None:
    if len(a) != len(b):
        raise ValueError(f"not paired: {len(a)} and {len(b)} values")

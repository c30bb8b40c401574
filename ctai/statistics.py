"""Every statistic of ctai: intervals, paired tests, effect sizes, power, agreement; by scipy and statsmodels.

Owns methods and their conventions for degenerate data. It judges nothing: thresholds are configuration,
verdicts are the gates'. Wrong arguments are a caller's bug and raise ValueError.
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
"""Discordant pairs from which McNemar's chi-squared approximation is used."""

_NOTHING_KNOWN = Interval(low=0.0, high=1.0)


class Adjusted(NamedTuple):
    """Benjamini-Hochberg: adjusted p-values, and which hypotheses are rejected, in the order given."""

    p_values: tuple[float, ...]
    significant: tuple[bool, ...]


class PairedResults(NamedTuple):
    """Two arms on the same items: over all of them, and by type with adjusted p-values."""

    overall: PairedComparison
    by_type: dict[str, PairedComparison]


class BalancedAccuracy(NamedTuple):
    """Mean of the two classes' recalls. `value` is nan when a class has no items: it passes no threshold."""

    value: float
    interval: Interval
    true_positives: Rate
    true_negatives: Rate


class Auroc(NamedTuple):
    """Area under the ROC curve. `value` is nan when a class has no items: it passes no threshold."""

    value: float
    interval: Interval


class Kappa(NamedTuple):
    """Agreement of two raters beyond chance. `value` is nan when no more than one label occurs: it passes no threshold."""

    value: float
    interval: Interval


class SummaryStatistics(NamedTuple):
    """Where values lie. All are nan when there are none."""

    median: float
    mean: float
    p5: float
    p95: float


def describe(values: Sequence[float]) -> SummaryStatistics:
    """Median, mean, and the 5th and 95th percentile (linear interpolation) of finite values."""
    if not values:
        return SummaryStatistics(*[math.nan] * 4)
    low, median, high = np.quantile(np.asarray(values, dtype=float), (0.05, 0.5, 0.95))
    return SummaryStatistics(float(median), float(np.mean(values)), float(low), float(high))


def wilson_interval(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for `k` of `n` (Wilson 1927; Newcombe 1998, method 3); [0, 1] when n is 0."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a proportion")
    if n == 0:
        return _NOTHING_KNOWN
    low, high = proportion.proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    # at the ends the limits are 0 and 1 exactly; rounding must not exclude the estimate itself
    return Interval(low=0.0 if k == 0 else float(low), high=1.0 if k == n else float(high))


def rate(k: int, n: int) -> Rate:
    """`k` of `n` with its Wilson 95% interval; the value is nan when n is 0."""
    return Rate(k=k, n=n, value=k / n if n else math.nan, interval=wilson_interval(k, n))


def mcnemar(base: Sequence[bool], sft: Sequence[bool]) -> McNemar:
    """McNemar's two-sided test on paired outcomes.

    With fewer than 25 discordant pairs exact (binomial; the statistic is the smaller count), else chi-squared
    with continuity correction (McNemar 1947; Edwards 1948).
    """
    _check_paired(base, sft)
    only_base = sum(b and not s for b, s in zip(base, sft, strict=True))
    only_sft = sum(s and not b for b, s in zip(base, sft, strict=True))
    exact = only_base + only_sft < EXACT_BELOW
    result = mcnemar_of_table([[0, only_base], [only_sft, 0]], exact=exact, correction=True)
    statistic, p_value = float(result.statistic), float(result.pvalue)
    return McNemar(only_base=only_base, only_sft=only_sft, statistic=statistic, p_value=p_value, exact=exact)


def cohens_h(p1: float, p2: float) -> float:
    """Cohen's h, 2 asin sqrt(p1) - 2 asin sqrt(p2); positive when p1 > p2 (Cohen 1988, chapter 6)."""
    return float(proportion.proportion_effectsize(p1, p2))


def benjamini_hochberg(p_values: Sequence[float], fdr: float) -> Adjusted:
    """Control of the false discovery rate at `fdr` (Benjamini and Hochberg 1995)."""
    if not all(0 <= p <= 1 for p in p_values):  # also refuses nan
        raise ValueError(f"not all are p-values: {list(p_values)}")
    if not p_values:
        return Adjusted((), ())
    rejected, adjusted, _, _ = multipletests(p_values, alpha=fdr, method="fdr_bh")
    return Adjusted(tuple(float(p) for p in adjusted), tuple(bool(r) for r in rejected))


def bootstrap_lift(
    base: Sequence[bool], sft: Sequence[bool], samples: int, seed: int, confidence: float = 0.95
) -> Interval:
    """Bootstrap interval of the lift, mean(sft) - mean(base), resampling pairs (BCa: Efron 1987).

    When all pairs differ alike there is nothing to resample and the interval is [lift, lift]; where BCa is
    not defined the percentile interval is given. Never nan.
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
    """Two arms on the same items, at one success level.

    `regression` says that SFT is worse beyond the overlap of the two 95% Wilson intervals.
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
    """`compare` over all items and for each type; the types' p-values are adjusted together.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        types: the type of each item.
        fdr: false discovery rate over the types.
        samples: bootstrap samples for each comparison.
        seed: seed of the bootstrap.
    """
    _check_paired(base, types)
    comparisons = {}
    for kind in sorted(set(types)):
        chosen = [i for i, other in enumerate(types) if other == kind]
        comparisons[kind] = compare([base[i] for i in chosen], [sft[i] for i in chosen], samples, seed)
    adjusted = benjamini_hochberg([c.mcnemar.p_value for c in comparisons.values()], fdr)
    by_type = {
        kind: comparison.model_copy(update={"p_adjusted": p, "significant": significant})
        for (kind, comparison), p, significant in zip(comparisons.items(), *adjusted, strict=True)
    }
    return PairedResults(compare(base, sft, samples, seed), by_type)


def mcnemar_power(n: int, lift: float, discordance: float, alpha: float = 0.01) -> float:
    """Probability that `mcnemar` on `n` pairs finds SFT better with p < alpha.

    Exact for the test as it is done here: summed over the number of discordant pairs, which is binomial
    (n, discordance), and of which the share (discordance + lift) / (2 discordance) is expected to be SFT's.

    Args:
        n: number of pairs.
        lift: true difference of the success rates, sft - base.
        discordance: true rate of pairs on which the arms differ, at least `abs(lift)`.
        alpha: significance level, two-sided.
    """
    if not (0 < discordance <= 1 and abs(lift) <= discordance):
        raise ValueError(f"a lift of {lift} needs a discordance in [{abs(lift)}, 1], not {discordance}")
    discordant = np.arange(n + 1)
    share = (discordance + lift) / (2 * discordance)
    found = stats.binom.sf(_wins_needed(discordant, alpha) - 1, discordant, share)
    return float(np.sum(stats.binom.pmf(discordant, n, discordance) * found))


def _wins_needed(discordant: NDArray[np.int_], alpha: float) -> NDArray[np.int_]:
    """The fewest of the discordant pairs that, won by SFT, give p < alpha; more than there are if none do."""
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


def minimum_n(lift: float, discordance: float, power: float = 0.80, alpha: float = 0.01, maximum: int = 100_000) -> int:
    """How many pairs `mcnemar` needs to find the lift with the power; see `mcnemar_power`.

    Power grows with n but for a fine saw-tooth; this is an n at which it reaches the target.

    Raises:
        ValueError: about `maximum` pairs are not enough.
    """
    low, high = 0, 1
    while mcnemar_power(high, lift, discordance, alpha) < power:
        low, high = high, 2 * high
        if high > maximum:
            raise ValueError(f"{maximum} pairs are too few for power {power} at lift {lift}")
    while high - low > 1:
        middle = (low + high) // 2
        enough = mcnemar_power(middle, lift, discordance, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> Kappa:
    """Cohen's kappa of two raters (Cohen 1960) with a 95% interval by its asymptotic standard error (Fleiss et al. 1969).

    Where the raters never differ there is no error to estimate, and the interval is [1, 1].
    """
    _check_paired(a, b)
    order = {label: i for i, label in enumerate(dict.fromkeys((*a, *b)))}
    if len(order) < 2:
        return Kappa(math.nan, Interval(low=-1.0, high=1.0))
    table = np.zeros((len(order), len(order)))
    for one, other in zip(a, b, strict=True):
        table[order[one], order[other]] += 1
    if np.trace(table) == len(a):
        return Kappa(1.0, Interval(low=1.0, high=1.0))
    with np.errstate(invalid="ignore", divide="ignore"):  # of a test statistic that is not asked for
        found = inter_rater.cohens_kappa(table)
    low, high = max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp))
    return Kappa(float(found.kappa), Interval(low=low, high=high))


def balanced_accuracy(labels: Sequence[bool], predictions: Sequence[bool]) -> BalancedAccuracy:
    """Balanced accuracy with a 95% interval.

    The interval of the mean of two independent proportions is recovered from their Wilson limits (MOVER: Zou
    and Donner 2008, after Newcombe 1998, method 10).
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
    """Area under the ROC curve (ties count half) with a 95% interval.

    The interval is the score-type one of Newcombe (2006, part 2, method 5): it has a width even at area 1.
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
    """All areas t with |t - area| <= z sd(t); sd by Hanley and McNeil (1982) for equal classes."""
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

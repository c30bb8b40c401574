"""Paired proportions of independent items: McNemar's test, Cohen's h and Tango's interval of the difference."""

from collections.abc import Sequence

import numpy as np
from statsmodels.stats import proportion
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_table

from ctai.records import Interval, McNemar
from ctai.statistics.description import check_paired
from ctai.statistics.intervals import Floats, critical_value

EXACT_BELOW = 25
"""Number of discordant pairs from which `mcnemar` uses the chi-squared approximation instead of the exact test."""

_BISECTIONS = 36


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
    check_paired(base, sft)
    only_base = sum(bool(b and not s) for b, s in zip(base, sft, strict=True))
    only_sft = sum(bool(s and not b) for b, s in zip(base, sft, strict=True))
    exact = only_base + only_sft < EXACT_BELOW
    result = mcnemar_of_table([[0, only_base], [only_sft, 0]], exact=exact, correction=True)
    statistic, p_value = float(result.statistic), float(result.pvalue)
    return McNemar(only_base=only_base, only_sft=only_sft, statistic=statistic, p_value=p_value, exact=exact)


def cohens_h(p1: float, p2: float) -> float:
    """Compute the effect size Cohen's h (Cohen 1988, chapter 6).

    h = 2 asin sqrt(p1) - 2 asin sqrt(p2), positive when p1 > p2.
    """
    return float(proportion.proportion_effectsize(p1, p2))


def paired_interval(
    only_base: float, only_sft: float, n: float, confidence: float = 0.95, df: float | None = None
) -> Interval:
    """Compute the score interval of the difference of paired proportions, (only_sft - only_base) / n (Tango 1998).

    It holds all differences that the score test does not reject. It never excludes the estimate, and has a width when
    no pair is discordant: 0 against 0 of n gives +-z^2 / (n + z^2). It excludes 0 exactly where
    (only_sft - only_base)^2 / (only_sft + only_base) > z^2, McNemar's test without correction.

    Args:
        only_base: pairs in which only the base succeeds; may be fractional (effective).
        only_sft: pairs in which only SFT succeeds, likewise.
        n: number of pairs, likewise.
        confidence: two-sided coverage.
        df: degrees of freedom of Student's t, whose quantile replaces the normal one.

    Raises:
        ValueError: a count is negative, there are no pairs, or fewer than discordant ones.
    """
    discordant = only_base + only_sft
    if not (min(only_base, only_sft) >= 0 and n > 0 and discordant <= n * (1 + 1e-9)):
        raise ValueError(f"{only_base} and {only_sft} discordant of {n} pairs are no table")
    values = (only_base, only_sft, n, critical_value(confidence, df))
    low, high = paired_limits(*np.array(values, dtype=float)[:, np.newaxis])
    return Interval(low=float(low[0]), high=float(high[0]))


def paired_limits(only_base: Floats, only_sft: Floats, n: Floats, critical: Floats) -> tuple[Floats, Floats]:
    """Compute the limits of `paired_interval` for arrays of counts and critical values, all of one shape."""
    inside = np.stack([(only_sft - only_base) / n] * 2)
    outside = np.stack([np.full_like(n, -1.0), np.full_like(n, 1.0)])
    for _ in range(_BISECTIONS):  # between the estimate and a bound, for where the statistic reaches the critical value
        middle = (inside + outside) / 2
        accepted = np.abs(score_statistic(middle, only_base, only_sft, n)) <= critical
        inside, outside = np.where(accepted, middle, inside), np.where(accepted, outside, middle)
    return outside[0], outside[1]


def score_statistic(difference: Floats, only_base: Floats, only_sft: Floats, n: Floats) -> Floats:
    """Return the score statistic of a difference of paired proportions (Tango 1998), standard normal if it is the true one.

    0 where the estimate equals the difference, also where the variance under the difference is 0.
    """
    # restricted maximum likelihood estimate of the probability that only the base succeeds
    b = (2 * n - only_sft + only_base) * difference - only_base - only_sft
    c = -only_base * difference * (1 - difference)
    restricted = (np.sqrt(np.maximum(b * b - 8 * n * c, 0)) - b) / (4 * n)
    variance = np.maximum(n * (2 * restricted + difference * (1 - difference)), 0)
    excess = only_sft - only_base - n * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic: Floats = np.where(np.abs(excess) < 1e-12 * n, 0.0, excess / np.sqrt(variance))
    return statistic

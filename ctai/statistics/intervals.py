"""Intervals of single proportions, and the quantiles that all intervals use."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ctai.records import Interval, Rate

Floats = NDArray[np.float64]

_ONE_SIDED_SHARE = 0.8
_TINY = 1e-300

NOTHING_KNOWN = Interval(low=0.0, high=1.0)
"""Interval of a proportion without data."""


@lru_cache
def critical_value(confidence: float = 0.95, df: float | None = None) -> float:
    """Return the two-sided critical value: of Student's t with `df` degrees of freedom, or normal when it is None.

    Raises:
        ValueError: `df` is not positive.
    """
    if df is None:
        return float(stats.norm.isf((1 - confidence) / 2))
    if df <= 0:
        raise ValueError(f"{df} degrees of freedom: at least two families are needed")
    return float(stats.t.isf((1 - confidence) / 2, df))


def wilson_interval(k: float, n: float, confidence: float = 0.95, df: float | None = None) -> Interval:
    """Compute the modified Wilson score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001, section 4.1).

    The score interval covers a rate near 0 or 1 in as little as 90% of samples, since its limit beside a count of few
    successes, or few failures, is too close to it. There the limit is the exact one-sided one (Clopper and Pearson 1934)
    at 0.8 of the error, 4% for a 95% interval, wherever that is farther out: from 30 items on, the coverage of rates of
    0.01 to 0.99 is then at least 93%.

    Args:
        k: number of successes, which may be fractional (effective).
        n: number of trials, likewise; the interval is [0, 1] when it is 0.
        confidence: two-sided coverage.
        df: degrees of freedom of Student's t, whose quantile replaces the normal one (Korn and Graubard 1998; Dean and
            Pagano 2015).

    Raises:
        ValueError: `k` is not in [0, `n`].
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a proportion")
    if n == 0:
        return NOTHING_KNOWN
    values = np.array((k, n), dtype=float)[:, np.newaxis]
    low, high = wilson_limits(values[0], values[1], critical_value(confidence, df), confidence)
    return Interval(low=float(low[0]), high=float(high[0]))


def wilson_limits(k: Floats, n: Floats, critical: float, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Compute the limits of `wilson_interval` for arrays of counts `k` of `n` > 0 and one critical value."""
    failures = np.maximum(n - k, 0)
    low = _lower_limit(k, failures, critical, confidence)
    high = 1 - _lower_limit(failures, k, critical, confidence)
    # rounding must not exclude the estimate itself
    return np.minimum(low, k / n), np.maximum(high, k / n)


def _lower_limit(k: Floats, failures: Floats, critical: float, confidence: float) -> Floats:
    n, square = k + failures, critical * critical
    half = critical * np.sqrt(k * failures / n + square / 4)
    score = (k + square / 2 - half) / (n + square)
    exact = special.betaincinv(np.maximum(k, _TINY), failures + 1, _ONE_SIDED_SHARE * (1 - confidence))
    limit: Floats = np.where(k > 0, np.maximum(np.minimum(score, exact), 0), 0.0)
    return limit


def rate(k: int, n: int) -> Rate:
    """Return the proportion `k` of `n` with its 95% `wilson_interval`; the value is nan when `n` is 0.

    Raises:
        ValueError: `k` is not in [0, `n`].
    """
    return Rate(k=k, n=n, value=k / n if n else math.nan, interval=wilson_interval(k, n))

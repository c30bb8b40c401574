"""Intervals of single proportions, and the quantiles that all intervals use."""

import math
from functools import lru_cache

from scipy import stats

from ctai.records import Interval, Rate

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
    """Compute the Wilson score interval of a proportion (Wilson 1927; Newcombe 1998, method 3, without correction).

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
    z = critical_value(confidence, df)
    center = (k + z * z / 2) / (n + z * z)
    half = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    # at the ends the limits are 0 and 1 exactly; rounding must not exclude the estimate itself
    return Interval(
        low=0.0 if k == 0 else min(k / n, max(0.0, center - half)),
        high=1.0 if k == n else max(k / n, min(1.0, center + half)),
    )


def rate(k: int, n: int) -> Rate:
    """Return the proportion `k` of `n` with its 95% Wilson score interval; the value is nan when `n` is 0.

    Raises:
        ValueError: `k` is not in [0, `n`].
    """
    return Rate(k=k, n=n, value=k / n if n else math.nan, interval=wilson_interval(k, n))

"""Summary statistics of values."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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


def check_paired(a: Sequence[object], b: Sequence[object]) -> None:
    """Check that two sequences have one length.

    Raises:
        ValueError: the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"not paired: {len(a)} and {len(b)} values")

"""Share of good items, corrected for the errors of the instrument that accepts them."""

import math
from typing import NamedTuple

from ctai.records import Interval, Rate
from ctai.statistics.intervals import NOTHING_KNOWN, critical_value


class CorrectedShare(NamedTuple):
    """Corrected share of good items. `value` is nan where the instrument tells nothing, and so passes no threshold."""

    value: float
    interval: Interval


def corrected_share(accepted: Rate, sensitivity: Rate, specificity: Rate, confidence: float = 0.95) -> CorrectedShare:
    """Estimate the share of good items from the share of accepted ones (Rogan and Gladen 1978), clipped to [0, 1].

    (p + q0 - 1) / (q0 + q1 - 1) with the accepted share p, the specificity q0 and the sensitivity q1. The interval takes
    the sampling error of all three rates into account (Lang and Reiczigel 2014).

    Args:
        accepted: items that the instrument accepts.
        sensitivity: good items of a sample with known labels that it accepts.
        specificity: bad items of a sample with known labels that it rejects.
        confidence: two-sided coverage.

    Returns:
        nan with the interval [0, 1] where a rate has no items or sensitivity + specificity <= 1.
    """
    if min(accepted.n, sensitivity.n, specificity.n) == 0 or sensitivity.value + specificity.value <= 1:
        return CorrectedShare(math.nan, NOTHING_KNOWN)
    value = (accepted.value + specificity.value - 1) / (sensitivity.value + specificity.value - 1)
    interval = _lang_reiczigel(accepted, sensitivity, specificity, critical_value(confidence))
    value = min(1.0, max(0.0, value))
    return CorrectedShare(value, Interval(low=min(value, interval.low), high=max(value, interval.high)))


def _lang_reiczigel(accepted: Rate, sensitivity: Rate, specificity: Rate, z: float) -> Interval:
    n = accepted.n + z * z
    p = (accepted.k + z * z / 2) / n
    q1, q0 = ((r.k + 1) / (r.n + 2) for r in (sensitivity, specificity))
    variance_1, variance_0 = q1 * (1 - q1) / (sensitivity.n + 2), q0 * (1 - q0) / (specificity.n + 2)
    slope = q0 + q1 - 1
    if slope <= 0:
        return NOTHING_KNOWN
    share = (p + q0 - 1) / slope
    center = share + 2 * z * z * (share * variance_1 - (1 - share) * variance_0)
    half = z / slope * math.sqrt(p * (1 - p) / n + share**2 * variance_1 + (1 - share) ** 2 * variance_0)
    return Interval(low=max(0.0, center - half), high=min(1.0, center + half))

"""Shares of right items before and after a selection, such as that by a critic, with intervals that allow for families."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ctai.records import Interval, Rate, SelectionGain
from ctai.statistics.clustered import MIN_CLUSTERS, MIN_EVENTS, planned_design_effect
from ctai.statistics.intervals import wilson_interval
from ctai.statistics.prevalence import CorrectedShare


class SelectionCounts(NamedTuple):
    """Right and wrong items that a selection accepted and rejected, in one family."""

    accepted_right: int
    accepted_wrong: int
    rejected_right: int
    rejected_wrong: int


def selection_gain(families: Sequence[SelectionCounts], correlation: float = 0.0) -> SelectionGain:
    """Compute the gain by a selection: share right among accepted items minus share right among all judged ones.

    With r the share rejected and d the difference between the shares right among accepted and rejected items, the gain of
    the subset over its superset is r d. Its 95% interval recovers the variances from the Wilson limits of the three
    proportions, which are independent (MOVER: Zou and Donner 2008; for d, method 10 of Newcombe 1998). From
    `MIN_CLUSTERS` families on, counts are divided by the design effect of the gain (cluster-robust variance of its
    linearization over that of independent items), and the quantile is Student's t. With fewer than `MIN_EVENTS` rejected,
    right or wrong items the design effect is at least the planned one.

    Where nothing was rejected, the gain is 0, and its interval spans the gain or loss by as many rejections as are still
    possible. Simulated coverage is 0.92 to 1.00. Where few families hold nearly all wrong items the upper limit
    can be too low (coverage 0.85), but the lower limit is above the true gain in at most 4% of draws, mostly fewer.

    Args:
        families: counts of each family, or a single one for items without families.
        correlation: intra-class correlation of the planned design effect.
    """
    judged = [family for family in families if sum(family)]
    total = (
        SelectionCounts(*(sum(counts) for counts in zip(*judged, strict=True)))
        if judged
        else SelectionCounts(0, 0, 0, 0)
    )
    n, rejected = sum(total), total.rejected_right + total.rejected_wrong
    clustered = len(judged) >= MIN_CLUSTERS
    effect = _design_effect(judged, total, correlation) if clustered else 1.0
    value, interval = _gain(total, effect, len(judged) - 1 if clustered else None)
    return SelectionGain(
        value=value, interval=interval, judged=n, rejected=rejected, clusters=len(judged), design_effect=effect
    )


def _design_effect(families: Sequence[SelectionCounts], total: SelectionCounts, correlation: float) -> float:
    """Return the design effect of the gain: the observed one, or at least the planned one with few events."""
    right, rejected = total.accepted_right + total.rejected_right, total.rejected_right + total.rejected_wrong
    n = sum(total)
    observed = _observed_design_effect(families, total) if rejected < n else 1.0
    if min(right, n - right, rejected) >= MIN_EVENTS:
        return observed
    return max(observed, planned_design_effect([sum(family) for family in families], correlation))


def _observed_design_effect(families: Sequence[SelectionCounts], total: SelectionCounts) -> float:
    """Return the variance of the gain between families over that of independent items, at least 1."""
    n, accepted = sum(total), total.accepted_right + total.accepted_wrong
    purity, before = total.accepted_right / accepted, (total.accepted_right + total.rejected_right) / n
    # influence of one item on the gain, in the order of `SelectionCounts`
    weight = n / accepted
    influence = (weight * (1 - purity) - (1 - before), before - weight * purity, before - 1, before)
    independent = math.fsum(count * value**2 for count, value in zip(total, influence, strict=True))
    if independent == 0:
        return 1.0
    sums = [math.fsum(count * value for count, value in zip(family, influence, strict=True)) for family in families]
    between = len(families) / (len(families) - 1) * math.fsum(value**2 for value in sums)
    return max(1.0, between / independent)


def _gain(total: SelectionCounts, effect: float, df: int | None) -> tuple[float, Interval]:
    """Return the gain and its interval; nan and [-1, 1] where nothing was accepted."""
    n, accepted = sum(total), total.accepted_right + total.accepted_wrong
    rejected = n - accepted
    if accepted == 0:
        return math.nan, Interval(low=-1.0, high=1.0)
    share, share_limits = rejected / n, wilson_interval(rejected / effect, n / effect, df=df)
    kept = total.accepted_right / accepted
    if rejected == 0:
        return 0.0, Interval(low=share_limits.high * (kept - 1), high=share_limits.high * kept)
    lost = total.rejected_right / rejected
    kept_limits = wilson_interval(total.accepted_right / effect, accepted / effect, df=df)
    lost_limits = wilson_interval(total.rejected_right / effect, rejected / effect, df=df)
    difference = kept - lost
    below = math.hypot(kept - kept_limits.low, lost_limits.high - lost)
    above = math.hypot(kept_limits.high - kept, lost - lost_limits.low)
    toward_zero, away = share - share_limits.low, share_limits.high - share
    if difference < 0:
        toward_zero, away = away, toward_zero
    low = share * difference - math.hypot(difference * toward_zero, share * below)
    high = share * difference + math.hypot(difference * away, share * above)
    return share * difference, Interval(low=max(-1.0, low), high=min(1.0, high))


def share_among_accepted(judged: CorrectedShare, sensitivity: Rate, specificity: Rate) -> CorrectedShare:
    """Return the share right among accepted items (Bayes), from that among judged ones and the errors of the selection.

    The interval takes the limits of all three together, which is conservative. nan and [0, 1] where `judged` is nan.
    """
    if math.isnan(judged.value):
        return CorrectedShare(math.nan, Interval(low=0.0, high=1.0))
    q1, q0 = sensitivity.interval, specificity.interval
    return CorrectedShare(
        _posterior(judged.value, sensitivity.value, specificity.value),
        Interval(
            low=_posterior(judged.interval.low, q1.low, q0.low), high=_posterior(judged.interval.high, q1.high, q0.high)
        ),
    )


def _posterior(share: float, sensitivity: float, specificity: float) -> float:
    right, wrong = share * sensitivity, (1 - share) * (1 - specificity)
    return right / (right + wrong) if right + wrong else share

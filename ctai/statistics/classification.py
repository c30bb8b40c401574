"""Quality of a binary classifier against true labels: balanced accuracy and area under the ROC curve."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import optimize, stats

from ctai.records import Interval, Rate
from ctai.statistics.description import check_paired
from ctai.statistics.intervals import NOTHING_KNOWN, rate


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
    check_paired(labels, predictions)
    positive = [p for label, p in zip(labels, predictions, strict=True) if label]
    negative = [not p for label, p in zip(labels, predictions, strict=True) if not label]
    recalls = rate(sum(positive), len(positive)), rate(sum(negative), len(negative))
    if not (positive and negative):
        return BalancedAccuracy(math.nan, NOTHING_KNOWN, *recalls)
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
    check_paired(labels, scores)
    positive = [s for label, s in zip(labels, scores, strict=True) if label]
    negative = [s for label, s in zip(labels, scores, strict=True) if not label]
    if not (positive and negative) or any(math.isnan(score) for score in scores):
        return Auroc(math.nan, NOTHING_KNOWN)
    pairs = len(positive) * len(negative)
    area = float(stats.mannwhitneyu(positive, negative).statistic) / pairs
    return Auroc(area, auroc_interval(area, len(positive), len(negative)))


def auroc_interval(area: float, m: int, n: int, confidence: float = 0.95) -> Interval:
    """Return all areas t with |t - area| <= z sd(t), with the sd of Hanley and McNeil (1982) at the mean class size."""
    z, extra = stats.norm.isf((1 - confidence) / 2), (m + n) / 2 - 1

    def excess(t: float) -> float:
        variance = t * (1 - t) * (1 + extra * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)
        return float((t - area) ** 2 - z**2 * variance)

    # 0 and 1 have no variance: from an area there, the search starts just inside
    low = 0.0 if area == 0 else float(optimize.brentq(excess, 0.0, min(area, 1 - 1e-12)))
    high = 1.0 if area == 1 else float(optimize.brentq(excess, max(area, 1e-12), 1.0))
    return Interval(low=low, high=high)

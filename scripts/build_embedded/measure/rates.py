"""Forms of the metrics of the model card: shares, differences of paired shares, classifiers, plain numbers.

Owns the fields of a metric. The methods and intervals are those of ``ctai.statistics``. A rate without items is None.
"""

import math
from collections.abc import Sequence
from typing import Any

from ctai.records import Interval, Rate
from ctai.statistics import auroc, balanced_accuracy, mcnemar, paired_interval, rate

Metrics = dict[str, Any]


def share(outcomes: Sequence[bool]) -> Metrics:
    """Return count, number of outcomes, and their share with its Wilson 95% interval."""
    return _fields(rate(sum(outcomes), len(outcomes)))


def number(value: float, n: int) -> Metrics:
    """Return a statistic of ``n`` items that is no share."""
    return {"n": n, "value": round(value, 4)}


def difference(before: Sequence[bool], after: Sequence[bool]) -> Metrics:
    """Return the difference of two shares of the same items with Tango's 95% interval, its wins and its losses."""
    table, n = mcnemar(before, after), len(before)
    wins, losses = table.only_sft, table.only_base
    return {
        "n": n,
        "rate": round((wins - losses) / n, 4),
        **_bounds(paired_interval(losses, wins, n)),
        "wins": wins,
        "losses": losses,
    }


def classifier(name: str, labels: Sequence[bool], odds: Sequence[float], margin: float) -> Metrics:
    """Return the quality of a critic that calls items good by their log-odds of label A.

    Args:
        name: prefix of the metrics.
        labels: whether each item is good.
        odds: log-probability of A less that of B, in nats.
        margin: difference from which a judgement is confident, in nats.
    """
    area = auroc(labels, odds)
    balanced = balanced_accuracy(labels, [value > 0 for value in odds])
    pairs = list(zip(labels, odds, strict=True))
    return {
        f"{name}: balanced accuracy": _estimate(len(labels), balanced.value, balanced.interval),
        f"{name}: AUC": _estimate(len(labels), area.value, area.interval),
        f"{name}: good ones accepted": share([value >= margin for label, value in pairs if label]),
        f"{name}: bad ones accepted": share([value >= margin for label, value in pairs if not label]),
        f"{name}: bad among those rejected with confidence": share([not label for label, o in pairs if o <= -margin]),
    }


def by_group(groups: Sequence[str], outcomes: Sequence[bool]) -> dict[str, Metrics]:
    """Return the share of each group, in alphabetical order."""
    cells: dict[str, list[bool]] = {}
    for group, outcome in zip(groups, outcomes, strict=True):
        cells.setdefault(group, []).append(outcome)
    return {group: share(cells[group]) for group in sorted(cells)}


def _fields(proportion: Rate) -> Metrics:
    return {"count": proportion.k, **_estimate(proportion.n, proportion.value, proportion.interval)}


def _estimate(n: int, value: float, interval: Interval) -> Metrics:
    return {"n": n, "rate": None if math.isnan(value) else round(value, 4), **_bounds(interval)}


def _bounds(interval: Interval) -> Metrics:
    return {"low": round(interval.low, 4), "high": round(interval.high, 4)}

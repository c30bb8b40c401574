"""Agreement of two raters."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ctai.records import Interval
from ctai.statistics.description import check_paired
from ctai.statistics.intervals import wilson_interval


class Kappa(NamedTuple):
    """Cohen's kappa of two raters. `value` is nan when fewer than two labels occur, and so passes no threshold."""

    value: float
    interval: Interval


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> Kappa:
    """Compute Cohen's kappa of two raters (Cohen 1960) with a 95% interval.

    Kappa is 1 - q / e with the rate q of disagreement and the rate e expected by chance. Its limits are those of q by
    `wilson_interval`, at the observed e. So the interval has a width also for raters who never disagree, where the
    asymptotic standard error (Fleiss, Cohen and Everitt 1969) is 0.

    Args:
        a: label of each item by the first rater.
        b: by the second rater, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    check_paired(a, b)
    if len({*a, *b}) < 2:
        return Kappa(math.nan, Interval(low=-1.0, high=1.0))
    counts = Counter(a), Counter(b)
    by_chance = 1 - sum(counts[0][label] * counts[1][label] for label in counts[0]) / len(a) ** 2
    disagreements = sum(label_a != label_b for label_a, label_b in zip(a, b, strict=True))
    interval = wilson_interval(disagreements, len(a))
    low, high = max(-1.0, 1 - interval.high / by_chance), 1 - interval.low / by_chance
    return Kappa(1 - disagreements / len(a) / by_chance, Interval(low=low, high=high))

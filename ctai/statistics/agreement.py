"""Agreement of two raters."""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from statsmodels.stats import inter_rater

from ctai.records import Interval
from ctai.statistics.description import check_paired


class Kappa(NamedTuple):
    """Cohen's kappa of two raters. `value` is nan when fewer than two labels occur, and so passes no threshold."""

    value: float
    interval: Interval


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> Kappa:
    """Compute Cohen's kappa of two raters (Cohen 1960) with a 95% interval.

    The interval is asymptotic (standard error: Fleiss, Cohen and Everitt 1969); it is [1, 1] for raters who never
    disagree, where no error can be estimated.

    Args:
        a: label of each item by the first rater.
        b: by the second rater, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    check_paired(a, b)
    order = {label: i for i, label in enumerate(dict.fromkeys((*a, *b)))}
    if len(order) < 2:
        return Kappa(math.nan, Interval(low=-1.0, high=1.0))
    table = np.zeros((len(order), len(order)))
    for label_a, label_b in zip(a, b, strict=True):
        table[order[label_a], order[label_b]] += 1
    if np.trace(table) == len(a):
        return Kappa(1.0, Interval(low=1.0, high=1.0))
    with np.errstate(invalid="ignore", divide="ignore"):  # of a test statistic that is not used
        result = inter_rater.cohens_kappa(table)
    low, high = max(-1.0, float(result.kappa_low)), min(1.0, float(result.kappa_upp))
    return Kappa(float(result.kappa), Interval(low=low, high=high))

"""Balanced accuracy and area under the ROC curve."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctai import statistics

pytestmark = pytest.mark.unit


def test_balanced_accuracy_by_hand() -> None:
    labels = [True] * 20 + [False] * 100
    predictions = [True] * 15 + [False] * 5 + [True] * 10 + [False] * 90
    result = statistics.balanced_accuracy(labels, predictions)
    assert result.value == pytest.approx((0.75 + 0.90) / 2)
    assert (result.true_positives.k, result.true_negatives.k) == (15, 90)
    positives, negatives = statistics.wilson_interval(15, 20), statistics.wilson_interval(90, 100)
    below = math.hypot(0.75 - positives.low, 0.90 - negatives.low) / 2
    above = math.hypot(positives.high - 0.75, negatives.high - 0.90) / 2
    assert result.interval.low == pytest.approx(result.value - below)
    assert result.interval.high == pytest.approx(result.value + above)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_balanced_accuracy_stays_in_bounds_and_nan_passes_nothing(items: list[tuple[bool, bool]]) -> None:
    labels, predictions = [label for label, _ in items], [prediction for _, prediction in items]
    result = statistics.balanced_accuracy(labels, predictions)
    if len(set(labels)) == 2:
        assert 0 <= result.interval.low <= result.value <= result.interval.high <= 1
    else:
        assert math.isnan(result.value)


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
def test_auroc_is_the_share_of_ordered_pairs(items: list[tuple[bool, int]]) -> None:
    positive, negative = ([score for label, score in items if label is kind] for kind in (True, False))
    result = statistics.auroc([label for label, _ in items], [score for _, score in items])
    if not (positive and negative):
        assert math.isnan(result.value)
        return
    wins = sum((p > n) + 0.5 * (p == n) for p, n in itertools.product(positive, negative))
    assert result.value == pytest.approx(wins / len(positive) / len(negative))
    assert 0 <= result.interval.low <= result.value <= result.interval.high <= 1


def test_auroc_interval_covers_and_has_a_width_at_the_ends() -> None:
    """Normal scores one standard deviation apart have an area of Phi(1 / sqrt 2)."""
    truth, rng = stats.norm.cdf(1 / math.sqrt(2)), np.random.default_rng(0)
    labels = [True] * 25 + [False] * 40
    covered = 0
    for _ in range(400):
        scores = np.concatenate([rng.normal(1, 1, 25), rng.normal(0, 1, 40)])
        interval = statistics.auroc(labels, list(scores)).interval
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.985
    perfect = statistics.auroc([True] * 10 + [False] * 10, list(range(20, 0, -1)))
    assert perfect.value == perfect.interval.high == 1
    assert perfect.interval.low < 0.9


def test_auroc_of_nan_scores_is_nan() -> None:
    assert math.isnan(statistics.auroc([True, False], [math.nan, 0.0]).value)

"""Gain by a selection: the value, the interval and its simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.records import Interval
from ctai.statistics import CorrectedShare, SelectionCounts, rate, selection_gain, share_among_accepted

pytestmark = pytest.mark.unit

COUNTS = st.tuples(*[st.integers(0, 40)] * 4).map(lambda counts: SelectionCounts(*counts))


@given(st.lists(COUNTS, min_size=0, max_size=12))
def test_the_gain_is_a_difference_of_shares_inside_its_interval(families):
    gain = selection_gain(families)
    right, wrong, lost, caught = (sum(counts[i] for counts in families) for i in range(4))
    assert gain.judged == right + wrong + lost + caught
    assert gain.rejected == lost + caught
    if right + wrong == 0:
        assert math.isnan(gain.value)
        assert gain.finding == "no gain shown"
        return
    assert gain.value == pytest.approx(right / (right + wrong) - (right + lost) / gain.judged, abs=1e-12)
    assert -1 <= gain.interval.low <= gain.value + 1e-12
    assert gain.value - 1e-12 <= gain.interval.high <= 1
    assert gain.interval.low < gain.interval.high


@given(COUNTS)
def test_right_and_wrong_exchanged_change_the_sign(counts):
    right, wrong, lost, caught = counts
    gain, loss = selection_gain([counts]), selection_gain([SelectionCounts(wrong, right, caught, lost)])
    if right + wrong:
        assert loss.value == pytest.approx(-gain.value, abs=1e-12)
        assert loss.interval.low == pytest.approx(-gain.interval.high, abs=1e-12)


def test_families_that_differ_widen_the_interval():
    alike = [SelectionCounts(30, 10, 5, 15)] * 8
    differ = [SelectionCounts(40, 0, 20, 0)] * 4 + [SelectionCounts(20, 20, 0, 20), SelectionCounts(20, 20, 0, 20)] * 2
    even, uneven = selection_gain(alike), selection_gain(differ)
    assert even.design_effect == 1
    assert uneven.design_effect > 1.2
    assert uneven.clusters == 8


def test_few_families_count_as_independent_items():
    families = [SelectionCounts(30, 10, 5, 15), SelectionCounts(10, 20, 10, 5)]
    pooled = selection_gain([SelectionCounts(40, 30, 15, 20)])
    assert selection_gain(families).interval == pooled.interval
    assert selection_gain(families).design_effect == 1


def test_six_rejections_of_a_thousand_show_nothing():
    gain = selection_gain([SelectionCounts(1150, 21, 5, 1)])
    assert gain.finding == "no gain shown"
    assert gain.interval.high - gain.interval.low < 0.01


def test_the_share_among_accepted_follows_bayes():
    judged = CorrectedShare(0.5, Interval(low=0.4, high=0.6))
    share = share_among_accepted(judged, rate(90, 100), rate(70, 100))
    assert share.value == pytest.approx(0.45 / (0.45 + 0.15))
    assert share.interval.low < 0.75 < share.interval.high
    unknown = share_among_accepted(CorrectedShare(math.nan, Interval(low=0, high=1)), rate(0, 0), rate(0, 0))
    assert math.isnan(unknown.value)


# ----------------------------------------------------------------------------------------------- simulated coverage

DRAWS = 1000
# purity, rejection of wrong pairs, rejection of right pairs
CRITICS = [
    (purity, *errors)
    for purity in (0.3, 0.8, 0.97)
    for errors in ((0.005, 0.005), (0.1, 0.1), (0.3, 0.3), (0.1, 0.01), (0.5, 0.05), (0.9, 0.1))
]


def draw_gains(n: int, families: int, correlation: float, critic: tuple[float, float, float], seed: int):
    """Gains of drawn runs whose families differ in purity by a beta distribution, and the true gain."""
    purity, wrong_rejected, right_rejected = critic
    rng = np.random.default_rng(seed)
    weights = 1 / np.sqrt(np.arange(1, families + 1))
    sizes = np.maximum(1, np.round(n * weights / weights.sum())).astype(int)
    scale = (1 - correlation) / correlation if correlation else 0.0
    drawn = rng.beta(purity * scale, (1 - purity) * scale, (DRAWS, families)) if correlation else purity
    right = rng.binomial(sizes, drawn, (DRAWS, families))
    lost = rng.binomial(right, right_rejected)
    caught = rng.binomial(sizes - right, wrong_rejected)
    kept = purity * (1 - right_rejected) + (1 - purity) * (1 - wrong_rejected)
    truth = purity * (1 - right_rejected) / kept - purity
    tables = np.stack([right - lost, sizes - right - caught, lost, caught], axis=-1).tolist()
    return [selection_gain([SelectionCounts(*counts) for counts in table]) for table in tables], truth


@pytest.mark.parametrize(("n", "families", "correlation"), [(150, 1, 0.0), (1200, 1, 0.0), (1200, 30, 0.05)])
def test_the_interval_covers_the_true_gain(n, families, correlation):
    """Coverage is at least 93% and false gains are rare, allowing for three standard errors of the simulation."""
    for seed, critic in enumerate(CRITICS):
        gains, truth = draw_gains(n, families, correlation, critic, seed)
        covered = np.mean(
            [gain.interval.low <= truth + 1e-12 and truth <= gain.interval.high + 1e-12 for gain in gains]
        )
        too_high = np.mean([gain.interval.low > truth + 1e-12 for gain in gains])
        assert covered + 3 * math.sqrt(0.93 * 0.07 / DRAWS) >= 0.93, (critic, covered)
        assert too_high - 3 * math.sqrt(0.04 * 0.96 / DRAWS) <= 0.025, (critic, too_high)

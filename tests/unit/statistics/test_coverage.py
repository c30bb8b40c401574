"""Every 95% interval covers in at least 93% of samples, and clustered tests keep their level, on the grid that is used."""

import numpy as np
import pytest
from scipy import stats

from ctai import statistics
from scripts.coverage_table import DRAWS, FAMILIES, SIMULATIONS, draw_pairs
from tests.support.paired import paired

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("seed", "name"), list(enumerate(SIMULATIONS)))
def test_coverage_keeps_its_promise(seed: int, name: str) -> None:
    """The draws are those of docs/statistics.md."""
    points = list(SIMULATIONS[name](np.random.default_rng(seed), DRAWS))
    assert len(points) >= 8
    broken = [f"{p.case}: {p.coverage.value:.3f}" for p in points if p.breaks_promise]
    assert not broken


def test_monte_carlo_error_is_small_and_a_narrow_interval_is_found() -> None:
    assert 3 * (0.07 * 0.93 / DRAWS) ** 0.5 <= 0.015
    low, high = statistics.wilson_interval(round(0.91 * DRAWS), DRAWS, confidence=0.9973), 0.93
    assert low.high < high


@pytest.mark.parametrize("families", FAMILIES)
@pytest.mark.parametrize("correlation", [0.0, 0.05])
def test_p_gain_keeps_its_level_under_clustering(families: int, correlation: float) -> None:
    """One-sided level of the first comparison, alpha 0.0061 two-sided: at most 1.5 times half of it, beyond the error."""
    alpha, draws = 0.0061, 6000
    drawn = draw_pairs(np.random.default_rng(3), (350, families, correlation), 0.2, 0.0, draws)
    discordant = drawn.only_sft + drawn.only_base
    statistic = (drawn.only_sft - drawn.only_base) / np.sqrt(np.maximum(discordant, 1) * drawn.effect)
    false_gains = int(np.sum(stats.t.sf(statistic, families - 1) * 2 < alpha))
    assert false_gains <= stats.binom.ppf(0.9987, draws, 1.5 * alpha / 2)


def test_at_one_percent_discordance_zero_is_excluded_in_at_most_five_percent() -> None:
    """The bootstrap interval that this one replaced excluded 0 in 9.9% of such draws."""
    rows = np.random.default_rng(5).multinomial(350, (0.005, 0.005, 0.99), size=4000)[:, :2]
    tables, counts = np.unique(rows, axis=0, return_counts=True)
    excluded = 0
    for (only_base, only_sft), count in zip(tables.tolist(), counts.tolist(), strict=True):
        interval = statistics.paired_interval(only_base, only_sft, 350)
        if not interval.low <= 0 <= interval.high:
            excluded += count
            assert statistics.mcnemar(*paired(only_base, only_sft)).p_value < 0.25
    assert excluded / 4000 <= 0.05

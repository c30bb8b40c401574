"""Power against enumeration, simulation and published sample sizes."""

import itertools
import math

import pytest
from scipy import stats

from ctai import statistics
from tests.support.paired import paired

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("n", "alpha"), [(12, 0.05), (12, 0.2), (32, 0.05)])
def test_power_equals_enumeration_of_every_table(n: int, alpha: float) -> None:
    lift, discordance = 0.3, 0.7
    win, loss = (discordance + lift) / 2, (discordance - lift) / 2
    total = 0.0
    for wins, losses in itertools.product(range(n + 1), repeat=2):
        if wins + losses <= n and wins > losses and statistics.mcnemar(*paired(losses, wins)).p_value < alpha:
            total += stats.multinomial.pmf([wins, losses, n - wins - losses], n, [win, loss, 1 - discordance])
    assert statistics.mcnemar_power(n, lift, discordance, alpha) == pytest.approx(total)


def test_power_agrees_with_the_published_sample_size() -> None:
    """Connor (1987), Biometrics 43:207, without continuity correction: pairs for a power of 80% at alpha 0.01."""
    z_alpha, z_beta = stats.norm.isf(0.005), stats.norm.isf(0.20)
    connor = (z_alpha * math.sqrt(0.30) + z_beta * math.sqrt(0.30 - 0.01)) ** 2 / 0.01
    fewer, more = round(connor * 0.92), round(connor * 1.08)
    assert statistics.mcnemar_power(fewer, 0.10, 0.30) < 0.80 <= statistics.mcnemar_power(more, 0.10, 0.30)


def test_power_refuses_an_impossible_lift() -> None:
    with pytest.raises(ValueError, match="needs a discordance"):
        statistics.mcnemar_power(100, lift=0.3, discordance=0.2)


@pytest.mark.parametrize(("n", "discordance", "lift"), [(30, 0.3, 0.05), (24, 0.5, -0.02)])
def test_non_inferiority_power_equals_enumeration_of_every_table(n: int, discordance: float, lift: float) -> None:
    win, loss, total = (discordance + lift) / 2, (discordance - lift) / 2, 0.0
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            probability = stats.multinomial.pmf([wins, losses, n - wins - losses], n, [win, loss, 1 - discordance])
            if probability > 1e-7 and statistics.paired_interval(losses, wins, n).low >= -0.15:
                total += probability
    assert statistics.non_inferiority_power(n, 0.15, discordance, lift) == pytest.approx(total, abs=1e-4)


def test_non_inferiority_power_agrees_with_the_normal_approximation() -> None:
    """Nam (1997), Biometrics 53:1422: about (z_alpha + z_beta)^2 discordance / margin^2 pairs for a power of 80%."""
    pairs = round((stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2 * 0.2 / 0.05**2)
    assert statistics.non_inferiority_power(pairs, 0.05, 0.20) == pytest.approx(0.80, abs=0.02)


def test_non_inferiority_of_identical_arms_needs_items() -> None:
    """No discordant pair of n shows a margin m from n >= z^2 (1 - m) / m on: 73 pairs at 0.05."""
    assert statistics.non_inferiority_power(72, 0.05, 1e-9) == pytest.approx(0, abs=1e-6)
    assert statistics.non_inferiority_power(73, 0.05, 1e-9) == pytest.approx(1)


def test_non_inferiority_power_refuses_a_margin_that_is_none() -> None:
    with pytest.raises(ValueError, match="a margin is between 0 and 1"):
        statistics.non_inferiority_power(100, 0.0, 0.2)

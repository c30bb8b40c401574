"""Power of the tests on paired proportions."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ctai.statistics.intervals import critical_value
from ctai.statistics.paired import EXACT_BELOW, score_statistic

_NEGLIGIBLE = 1e-9


def mcnemar_power(n: int, lift: float, discordance: float, alpha: float = 0.01) -> float:
    """Compute the power of `mcnemar`: the probability that on `n` pairs it finds SFT better with p < alpha.

    Exact for the test as implemented by `mcnemar`, both branches included: a sum over the number of discordant pairs,
    which is binomial (n, discordance); SFT wins each of them with probability (discordance + lift) / (2 discordance).

    Args:
        n: number of pairs; of clustered ones, the effective number, rounded down.
        lift: true difference of the success rates, sft - base.
        discordance: true rate of pairs on which the arms differ, at least `abs(lift)`.
        alpha: significance level, two-sided.

    Raises:
        ValueError: `discordance` is not in (0, 1], or is below `abs(lift)`.
    """
    share = _share_won(lift, discordance)
    discordant = np.arange(n + 1)
    power = stats.binom.sf(_wins_needed(discordant, alpha) - 1, discordant, share)
    return float(np.sum(stats.binom.pmf(discordant, n, discordance) * power))


def non_inferiority_power(
    n: int, margin: float, discordance: float, lift: float = 0.0, confidence: float = 0.95
) -> float:
    """Compute the probability that the lower limit of `paired_interval` is at least -`margin`.

    Exact: a sum over the number of discordant pairs, as in `mcnemar_power`, up to a neglected probability of 1e-9.

    Args:
        n: number of pairs; of clustered ones, the effective number, rounded down.
        margin: largest difference by which SFT may be worse, in (0, 1).
        discordance: true rate of pairs on which the arms differ, at least `abs(lift)`.
        lift: true difference of the success rates, sft - base.
        confidence: two-sided coverage of the interval.

    Raises:
        ValueError: `discordance` is not in (0, 1], or is below `abs(lift)`, or `margin` is not in (0, 1).
    """
    if not 0 < margin < 1:
        raise ValueError(f"a margin is between 0 and 1, not {margin}")
    share, critical, power = _share_won(lift, discordance), critical_value(confidence), 0.0
    low, high = (stats.binom.ppf(tail, n, discordance) for tail in (_NEGLIGIBLE / 2, 1 - _NEGLIGIBLE / 2))
    for discordant in range(int(low), int(high) + 1):
        wins = np.arange(discordant + 1, dtype=float)
        statistic = score_statistic(np.full_like(wins, -margin), discordant - wins, wins, np.full_like(wins, n))
        shown = stats.binom.pmf(wins[statistic >= critical], discordant, share).sum()
        power += float(stats.binom.pmf(discordant, n, discordance) * shown)
    return power


def _share_won(lift: float, discordance: float) -> float:
    """Return the probability that SFT wins a discordant pair."""
    if not (0 < discordance <= 1 and abs(lift) <= discordance):
        raise ValueError(f"a lift of {lift} needs a discordance in [{abs(lift)}, 1], not {discordance}")
    return (discordance + lift) / (2 * discordance)


def _wins_needed(discordant: NDArray[np.int_], alpha: float) -> NDArray[np.int_]:
    """Return the minimum number of discordant pairs won by SFT that gives p < alpha, for each number of discordant pairs.

    A number above that of the discordant pairs stands for none.
    """
    # chi-squared: (2 wins - discordant - 1)^2 / discordant above the critical value
    root = np.sqrt(stats.chi2.isf(alpha, 1) * discordant)
    needed: NDArray[np.int_] = np.floor((discordant + 1 + root) / 2).astype(int) + 1
    exact = discordant < EXACT_BELOW
    needed[exact] = [_wins_needed_exactly(int(pairs), alpha) for pairs in discordant[exact]]
    return needed


@lru_cache(maxsize=1024)
def _wins_needed_exactly(discordant: int, alpha: float) -> int:
    candidates = range(discordant // 2 + 1, discordant + 1)
    return next((k for k in candidates if 2 * stats.binom.sf(k - 1, discordant, 0.5) < alpha), discordant + 1)

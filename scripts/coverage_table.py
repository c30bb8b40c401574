"""Simulated coverage of every interval of `ctai.statistics`, written to docs/statistics.md.

    python -m scripts.coverage_table                # about a minute on one core

Owns the grid and the simulation; the unit tests assert coverage on the same grid. Families are drawn with an intra-class
correlation: the probabilities of a family have a beta distribution (rates) or a Dirichlet distribution (pairs).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctai.records import Interval, Rate
from ctai.rundir import write_text
from ctai.statistics import (
    balanced_accuracy,
    cohen_kappa,
    corrected_share,
    paired_interval,
    planned_design_effect,
    rate,
    wilson_interval,
)
from ctai.statistics.classification import auroc_interval
from ctai.statistics.clustered import combined_design_effects, observed_design_effects
from ctai.statistics.intervals import critical_value, wilson_limits
from ctai.statistics.paired import paired_limits

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
DRAWS = 2700
PROMISE = 0.93
"""Coverage that every 95% interval keeps."""

CORRELATIONS = (0.0, 0.05, 0.15)
FAMILIES = (5, 12, 26, 40)
PLANNED_CORRELATION = 0.05
RATES = (0.01, 0.05, 0.5, 0.99)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Point(NamedTuple):
    """Point of the grid: which interval, on what, how many of the draws it covered, and how wide it was."""

    interval: str
    case: str
    covered: int
    draws: int
    width: float

    @property
    def coverage(self) -> Rate:
        """Share of draws that were covered."""
        return rate(self.covered, self.draws)

    @property
    def breaks_promise(self) -> bool:
        """True if the coverage is below the promise by more than the Monte Carlo error (three standard errors)."""
        return wilson_interval(self.covered, self.draws, confidence=0.9973).high < PROMISE


class Limits(NamedTuple):
    """Limits of an interval, by draw."""

    low: Floats
    high: Floats


def point(interval: str, case: str, limits: Limits, truth: float) -> Point:
    """Count the draws whose interval holds the truth, up to rounding."""
    covered = (limits.low <= truth + 1e-12) & (truth - 1e-12 <= limits.high)
    return Point(interval, case, int(covered.sum()), len(covered), float(np.mean(limits.high - limits.low)))


def family_sizes(items: int, families: int) -> Integers:
    """Return sizes of families that rise evenly from 1 to 3 parts."""
    parts = 1 + 2 * np.arange(families) / (families - 1)
    sizes = np.maximum(1, np.floor(items * parts / parts.sum())).astype(int)
    sizes[-1] += items - sizes.sum()
    return sizes


def draw_families(
    rng: np.random.Generator, cells: Sequence[float], correlation: float, sizes: Integers, draws: int
) -> Integers:
    """Draw the number of items of each family in each cell but the last; shape (cells - 1, draws, families)."""
    shape = (draws, len(sizes))
    shares = [np.broadcast_to(np.asarray(cell, dtype=float), shape) for cell in cells]
    if correlation:
        concentration = 1 / correlation - 1
        masses = [rng.gamma(cell * concentration, size=shape) if cell else np.zeros(shape) for cell in cells]
        shares = [mass / np.maximum(sum(masses), 1e-300) for mass in masses]
    left, remaining, counts = np.broadcast_to(sizes, shape), np.ones(shape), []
    for share in shares[:-1]:
        drawn = rng.binomial(left, np.clip(share / np.maximum(remaining, 1e-300), 0, 1))
        counts.append(drawn)
        left, remaining = left - drawn, remaining - share
    return np.stack(counts)


# ------------------------------------------------------------------------------------------------ clustered intervals


def clustered_cases() -> Iterator[tuple[int, int, float]]:
    """Yield items, families and intra-class correlation."""
    for items, families, correlation in product((60, 350, 1000), FAMILIES, CORRELATIONS):
        if items / families >= 5:
            yield items, families, correlation


def clustered_rates(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `clustered_rate`."""
    for (items, families, correlation), p in product(clustered_cases(), RATES):
        sizes = family_sizes(items, families)
        (counts,) = draw_families(rng, (p, 1 - p), correlation, sizes, draws).astype(float)
        k = counts.sum(axis=1)
        effect = combined_design_effects(
            observed_design_effects(counts, k, sizes),
            np.minimum(k, items - k),
            planned_design_effect(sizes.tolist(), PLANNED_CORRELATION),
        )
        limits = Limits(*wilson_limits(k / effect, items / effect, critical_value(df=families - 1)))
        case = f"{items} items, {families} families, correlation {correlation:g}, rate {p:g}"
        yield point("clustered rate", case, limits, p)


class PairedDraws(NamedTuple):
    """Comparisons of two arms: discordant pairs won by each, items, design effect and critical value."""

    only_base: Floats
    only_sft: Floats
    items: int
    effect: Floats
    critical: float

    @property
    def limits(self) -> Limits:
        """Limits of the lift."""
        n = np.full_like(self.effect, self.items) / self.effect
        critical = np.full_like(n, self.critical)
        return Limits(*paired_limits(self.only_base / self.effect, self.only_sft / self.effect, n, critical))


def draw_pairs(
    rng: np.random.Generator, case: tuple[int, int, float], discordance: float, lift: float, draws: int
) -> PairedDraws:
    """Draw comparisons as `ctai.statistics.compare` makes them."""
    items, families, correlation = case
    sizes = family_sizes(items, families)
    cells = ((discordance + lift) / 2, (discordance - lift) / 2, 1 - discordance)
    won, lost = draw_families(rng, cells, correlation, sizes, draws).astype(float)
    wins, losses = won.sum(axis=1), lost.sum(axis=1)
    planned = planned_design_effect(sizes.tolist(), PLANNED_CORRELATION)
    observed = observed_design_effects(won - lost, wins + losses, sizes)
    effect = combined_design_effects(observed, wins + losses, planned)
    return PairedDraws(losses, wins, items, effect, critical_value(df=families - 1))


def clustered_lifts(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of the lift's interval of `compare`."""
    for case, discordance, share in product(clustered_cases(), (0.01, 0.1, 0.4), (0.0, 1.0)):
        lift = discordance * share
        drawn = draw_pairs(rng, case, discordance, lift, draws)
        items, families, correlation = case
        name = f"{items} items, {families} families, correlation {correlation:g}, discordance {discordance:g}, lift {lift:g}"
        yield point("clustered lift", name, drawn.limits, lift)


# --------------------------------------------------------------------------------------------- intervals of one sample


def cached(interval: Callable[..., Interval], rows: NDArray[np.int64]) -> Limits:
    """Compute the interval of each distinct row of counts once."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    limits = np.array([(i.low, i.high) for i in (interval(*map(int, row)) for row in distinct)])
    return Limits(*limits[inverse.ravel()].T)


def wilson(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `wilson_interval`."""
    for n, p in product((30, 50, 100, 350, 1000), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)):
        rows = rng.binomial(n, p, size=(draws, 1))
        yield point("Wilson", f"{n} items, rate {p:g}", cached(lambda k, n=n: wilson_interval(k, n), rows), p)


def paired(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `paired_interval`."""
    for n, discordance, share in product((30, 100, 350, 1000), (0.01, 0.05, 0.1, 0.4), (0.0, 0.6, 1.0)):
        lift = discordance * share
        rows = rng.multinomial(n, ((discordance - lift) / 2, (discordance + lift) / 2, 1 - discordance), size=draws)
        limits = cached(lambda lost, won, n=n: paired_interval(lost, won, n), rows[:, :2])
        yield point("paired difference", f"{n} pairs, discordance {discordance:g}, lift {lift:g}", limits, lift)


def balanced_accuracies(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `balanced_accuracy`."""
    for n, recalls in product((30, 60, 200), ((0.5, 0.5), (0.8, 0.95), (0.95, 0.95), (0.99, 0.99), (0.5, 0.99))):
        rows = np.stack([rng.binomial(n // 2, recall, size=draws) for recall in recalls], axis=1)

        def interval(right: int, rejected: int, half: int = n // 2) -> Interval:
            labels = [True] * half + [False] * half
            predictions = [i < right for i in range(half)] + [i >= rejected for i in range(half)]
            return balanced_accuracy(labels, predictions).interval

        case = f"{n} items, recalls {recalls[0]:g} and {recalls[1]:g}"
        yield point("balanced accuracy", case, cached(interval, rows), sum(recalls) / 2)


def areas(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `auroc` on normal scores, whose area is known by the shift between the classes."""
    for half, (shift, area) in product((15, 50), ((0.0, 0.5), (0.7416, 0.7), (1.8124, 0.9), (3.2900, 0.99))):
        positive, negative = rng.normal(shift, size=(draws, half, 1)), rng.normal(size=(draws, 1, half))
        ordered = np.sum(positive > negative, axis=(1, 2))[:, np.newaxis]
        limits = cached(lambda wins, half=half: auroc_interval(wins / half**2, half, half), ordered)
        yield point("area under the ROC curve", f"{2 * half} items, area {area:g}", limits, area)


def kappas(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `cohen_kappa` for two raters of which one errs."""
    for n, share, errors in product((30, 400), (0.1, 0.5), (0.01, 0.1, 0.25)):
        cells = (share * (1 - errors), share * errors, (1 - share) * errors, (1 - share) * (1 - errors))
        rows = rng.multinomial(n, cells, size=draws)
        first, second = share, cells[0] + cells[2]
        truth = 1 - errors / (1 - first * second - (1 - first) * (1 - second))

        def interval(both: int, one: int, other: int, neither: int) -> Interval:
            a = [True] * (both + one) + [False] * (other + neither)
            b = [True] * both + [False] * one + [True] * other + [False] * neither
            return cohen_kappa(a, b).interval

        yield point("Cohen's kappa", f"{n} items, share {share:g}, errors {errors:g}", cached(interval, rows), truth)


def shares(rng: np.random.Generator, draws: int) -> Iterator[Point]:
    """Yield the coverage of `corrected_share`."""
    instruments = ((0.9, 0.9), (0.7, 0.7), (0.99, 0.99))
    for (n, probes), share, (hit, reject) in product(
        ((100, 50), (1000, 100), (1000, 400)), (0.05, 0.5, 0.95), instruments
    ):
        positive = share * hit + (1 - share) * (1 - reject)
        trials = ((n, positive), (probes, hit), (probes, reject))
        rows = np.stack([rng.binomial(count, p, size=draws) for count, p in trials], axis=1)

        def interval(accepted: int, hits: int, rejected: int, n: int = n, probes: int = probes) -> Interval:
            return corrected_share(rate(accepted, n), rate(hits, probes), rate(rejected, probes)).interval

        case = f"{n} items, {probes} probes a class, share {share:g}, sensitivity {hit:g}, specificity {reject:g}"
        yield point("corrected share", case, cached(interval, rows), share)


SIMULATIONS: dict[str, Callable[[np.random.Generator, int], Iterator[Point]]] = {
    "Wilson": wilson,
    "paired difference": paired,
    "clustered rate": clustered_rates,
    "clustered lift": clustered_lifts,
    "balanced accuracy": balanced_accuracies,
    "area under the ROC curve": areas,
    "Cohen's kappa": kappas,
    "corrected share": shares,
}


def page(points: Sequence[Point], draws: int) -> str:
    """Return the page."""
    rows = []
    for name in SIMULATIONS:
        mine = [p for p in points if p.interval == name]
        lowest = min(mine, key=lambda p: p.covered / p.draws)
        mean = sum(p.covered / p.draws for p in mine) / len(mine)
        below = sum(p.coverage.value < PROMISE for p in mine)
        rows.append(
            f"| {name} | {len(mine)} | {mean:.3f} | {lowest.coverage.value:.3f} | {lowest.case} | {below} "
            f"| {sum(p.width for p in mine) / len(mine):.3f} |"
        )
    return TEXT.format(draws=draws, promise=PROMISE, table="\n".join(rows))


TEXT = """# Coverage of the intervals

Generated by `python -m scripts.coverage_table`. Every interval of `ctai.statistics` is a 95% interval. Each is simulated
on the sizes, rates, discordance, families and intra-class correlations that occur in ctai, {draws} draws a point. The
unit test `tests/unit/statistics/test_coverage.py` fails if the coverage at a point is below {promise:g} by more than the
Monte Carlo error (three standard errors, about 0.015). The last but one column counts the points whose simulated coverage
lies below {promise:g} at all.

| interval | points | mean coverage | lowest coverage | where | below {promise:g} | mean width |
| --- | --- | --- | --- | --- | --- | --- |
{table}

## Methods

| interval | method |
| --- | --- |
| Wilson | score interval (Wilson 1927), modified beside few successes or failures (after Brown, Cai and DasGupta 2001): unmodified, its coverage falls to 0.895 at 50 items and a rate of 0.989 |
| paired difference | score interval (Tango 1998); 0 against 0 of n gives +-z^2 / (n + z^2) |
| clustered rate | Wilson on the effective number of items, Student's t with families - 1 degrees of freedom (Korn and Graubard 1998; Dean and Pagano 2015) |
| clustered lift | Tango's on counts divided by the design effect, Student's t likewise |
| balanced accuracy | from the Wilson limits of both recalls (Zou and Donner 2008) |
| area under the ROC curve | score-type (Newcombe 2006) with the variance of Hanley and McNeil (1982) |
| Cohen's kappa | from the Wilson limits of the rate of disagreement; the asymptotic interval (Fleiss, Cohen and Everitt 1969) covers 0.25 at 30 items and 1% disagreement |
| corrected share | Rogan and Gladen (1978), interval of Lang and Reiczigel (2014) |

The design effect is the cluster-robust variance (Liang and Zeger 1986) over that under independence, at least 1. With
fewer than 15 effective events (successes or failures; discordant pairs) it is at least the planned one (Kish 1965) of
`heldout.intraclass_correlation`. Fewer than 5 families give no variance: such types take the design effect of all items
and say so (`interval_method`).

## Limits

* Rare events (1 to 5%) among 1000 items of strongly correlated families (0.15, three times the planned correlation):
  most families have no event, the observed design effect is too small too often, and the coverage is 0.91 to 0.93.
* Events so rare that all families but one lack them cannot be told from none: the planned design effect counts.
* The lift's interval excludes 0 exactly where the clustered p-value is below 0.05. The p-value of a comparison is the
  larger one of that and of McNemar's test. So p < 0.05 is never beside an interval that holds 0; an interval that excludes
  0 can be beside a p of up to 0.125 (4 discordant pairs to 0), since the exact test of few pairs is stricter.
"""  # noqa: E501


def main() -> None:
    """Simulate all intervals and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=DRAWS, help="samples at each point of the grid")
    draws = parser.parse_args().draws
    points = [
        p
        for number, simulate in enumerate(SIMULATIONS.values())
        for p in simulate(np.random.default_rng(number), draws)
    ]
    write_text(PAGE, page(points, draws))


if __name__ == "__main__":
    main()

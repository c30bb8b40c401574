"""Items that are not independent: design effects of families of items, and rates with clustered intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctai.records import ClusteredRate
from ctai.statistics.description import check_paired
from ctai.statistics.intervals import Floats, wilson_interval

MIN_CLUSTERS = 5
"""Number of clusters below which their variance is not estimated."""

MIN_EVENTS = 15
"""Effective number of successes and of failures, or of discordant pairs, below which the planned design effect counts.

The number is divided by the planned design effect. Below it the observed design effect misses the variance between
clusters too often, since most clusters have no event.
"""


class Design(NamedTuple):
    """Clusters of a sample.

    Attributes:
        clusters: number of clusters.
        design_effect: variance of the mean over that of as many independent items, at least 1.
        df: degrees of freedom of Student's t; None for the normal quantile.
    """

    clusters: int
    design_effect: float
    df: int | None


def planned_design_effect(sizes: Sequence[int], correlation: float) -> float:
    """Compute the design effect 1 + (m - 1) correlation with m = sum(sizes^2) / sum(sizes) (Kish 1965, section 5.4).

    Args:
        sizes: number of items of each cluster.
        correlation: intra-class correlation; a negative one counts as 0.

    Raises:
        ValueError: a size is negative or all are 0.
    """
    total = sum(sizes)
    if total <= 0 or min(sizes) < 0:
        raise ValueError(f"sizes {list(sizes)} are no clusters of items")
    mean_size = sum(size * size for size in sizes) / total
    return 1 + max(0.0, mean_size - 1) * max(0.0, correlation)


def observed_design_effect(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Estimate the design effect of a mean: its cluster-robust variance over that under independence.

    The cluster-robust variance is that of Liang and Zeger (1986) with the factor G / (G - 1) for G clusters.

    Args:
        values: value of each item.
        clusters: cluster of each item.

    Returns:
        The ratio, at least 1; nan where all values are equal or there is one cluster.

    Raises:
        ValueError: the lengths differ.
    """
    check_paired(values, clusters)
    names, indices = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    if len(names) < 2:
        return math.nan
    array = np.asarray(values, dtype=float)
    sums, sizes = np.bincount(indices, array).astype(np.float64), np.bincount(indices)
    return float(observed_design_effects(sums[np.newaxis], np.array([np.sum(array**2)]), sizes)[0])


def observed_design_effects(sums: Floats, squares: Floats, sizes: NDArray[np.int_]) -> Floats:
    """Compute `observed_design_effect` of many samples of the same clusters.

    Args:
        sums: sum of the values, by sample and cluster.
        squares: sum of the squared values, by sample.
        sizes: number of items of each cluster, at least two clusters.
    """
    items, clusters = int(sizes.sum()), len(sizes)
    mean = sums.sum(axis=1) / items
    independent = squares - items * mean**2
    between = np.sum((sums - sizes * mean[:, np.newaxis]) ** 2, axis=1)
    factor = clusters / (clusters - 1) * (items - 1) / items  # unbiased variances of both kinds
    known = independent > 1e-9 * np.maximum(squares, 1)
    effects: Floats = np.where(known, np.maximum(1.0, factor * between / np.where(known, independent, 1.0)), np.nan)
    return effects


def combined_design_effects(observed: Floats, events: Floats, planned: float) -> Floats:
    """Return the observed design effects; the planned one where it is larger and effective events are few, or where nan.

    Args:
        observed: `observed_design_effects`.
        events: number of items that inform about the variance, by sample.
        planned: `planned_design_effect`.
    """
    few = np.isnan(observed) | (events < MIN_EVENTS * planned)
    effects: Floats = np.where(few, np.fmax(observed, planned), observed)
    return effects


def design_of(
    values: Sequence[float],
    clusters: Sequence[str],
    events: int,
    correlation: float,
    design_effect: float | None = None,
) -> Design:
    """Return the design of a sample.

    The design effect is the observed one; with few events (`MIN_EVENTS`) it is at least the planned one. A sample
    of fewer than `MIN_CLUSTERS` clusters takes `design_effect`, or the planned one where it is None, and normal
    quantiles.

    Args:
        values: value of each item.
        clusters: cluster of each item.
        events: number of items that inform about the variance.
        correlation: preregistered intra-class correlation.
        design_effect: of the sample that this one is a part of.
    """
    sizes = list(Counter(clusters).values())
    if not sizes:
        return Design(0, 1.0, None)
    planned = planned_design_effect(sizes, correlation)
    if len(sizes) < MIN_CLUSTERS:
        return Design(len(sizes), planned if design_effect is None else max(1.0, design_effect), None)
    observed = np.array([observed_design_effect(values, clusters)])
    effect = combined_design_effects(observed, np.array([float(events)]), planned)
    return Design(len(sizes), float(effect[0]), len(sizes) - 1)


def clustered_rate(
    successes: Sequence[bool], clusters: Sequence[str], correlation: float, design_effect: float | None = None
) -> ClusteredRate:
    """Return the rate of successes with a 95% Wilson interval on the effective number of items.

    The number of items is divided by the design effect, and the quantile is that of Student's t with G - 1 degrees of
    freedom for G clusters, as Korn and Graubard (1998) do for the Clopper-Pearson interval and Dean and Pagano (2015)
    for the Wilson interval. Which design effect is used: `design_of`.

    Args:
        successes: outcome of each item.
        clusters: cluster of each item.
        correlation: preregistered intra-class correlation, used where the design effect cannot be estimated.
        design_effect: used with fewer than `MIN_CLUSTERS` clusters; None for the planned one.

    Raises:
        ValueError: the lengths differ.
    """
    check_paired(successes, clusters)
    k, n = sum(map(bool, successes)), len(successes)
    design = design_of([float(success) for success in successes], clusters, min(k, n - k), correlation, design_effect)
    effective_n = n / design.design_effect
    return ClusteredRate(
        k=k,
        n=n,
        value=k / n if n else math.nan,
        interval=wilson_interval(k / design.design_effect, effective_n, df=design.df),
        clusters=design.clusters,
        design_effect=design.design_effect,
        effective_n=effective_n,
    )

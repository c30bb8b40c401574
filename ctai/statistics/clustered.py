"""Items that are not independent: design effects of families of items, and rates with clustered intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ctai.records import ClusteredRate
from ctai.statistics.description import check_paired
from ctai.statistics.intervals import wilson_interval

MIN_CLUSTERS = 5
"""Number of clusters below which their variance is not estimated."""

MIN_EVENTS = 10
"""Number of successes and of failures, or of discordant pairs, below which a design effect is not estimated."""


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
    deviations = np.asarray(values, dtype=float) - np.mean(np.asarray(values, dtype=float))
    independent = float(np.sum(deviations**2))
    if len(names) < 2 or independent <= 0:
        return math.nan
    sums = np.bincount(indices, deviations)
    factor = len(names) / (len(names) - 1) * (len(values) - 1) / len(values)  # unbiased variances of both kinds
    return max(1.0, factor * float(np.sum(sums**2)) / independent)


def design_of(
    values: Sequence[float],
    clusters: Sequence[str],
    events: int,
    correlation: float,
    design_effect: float | None = None,
) -> Design:
    """Return the design of a sample.

    The design effect is the observed one; with fewer than `MIN_EVENTS` events it is at least the planned one. A sample
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
    observed = observed_design_effect(values, clusters)
    if math.isnan(observed):
        return Design(len(sizes), planned, len(sizes) - 1)
    return Design(len(sizes), observed if events >= MIN_EVENTS else max(observed, planned), len(sizes) - 1)


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

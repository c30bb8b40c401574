"""Comparison of two arms on the same items, which come in families: over all items and by type."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy import stats

from ctai.records import McNemar, PairedComparison
from ctai.statistics.clustered import Design, clustered_rate, design_of
from ctai.statistics.description import check_paired
from ctai.statistics.multiple import benjamini_hochberg
from ctai.statistics.paired import cohens_h, mcnemar, paired_interval


class PairedResults(NamedTuple):
    """Comparison of two arms on the same items: over all items, and by type with adjusted p-values."""

    overall: PairedComparison
    by_type: dict[str, PairedComparison]


def compare(
    base: Sequence[bool],
    sft: Sequence[bool],
    clusters: Sequence[str],
    *,
    correlation: float,
    design_effect: float | None = None,
) -> PairedComparison:
    """Compare two arms on the same items, at one success level.

    The rates are `clustered_rate`; the interval of the lift is `paired_interval` on counts divided by the design effect,
    with the quantile of Student's t with G - 1 degrees of freedom for G clusters; the p-value is the larger one of
    `mcnemar` and of the score test with that design effect and quantile. So a p-value below 0.05 is never beside a 95%
    interval that holds 0. Fewer than `MIN_CLUSTERS` clusters: `design_effect` and normal quantiles.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        clusters: cluster (family) of each item.
        correlation: preregistered intra-class correlation, used where the design effect cannot be estimated.
        design_effect: of the sample that these items are a part of, used with few clusters; None for the planned one.

    Raises:
        ValueError: the lengths differ, or there are no items.
    """
    check_paired(base, clusters)
    table = mcnemar(base, sft)
    if not base:
        raise ValueError("no pairs to compare")
    differences = [float(s) - float(b) for b, s in zip(base, sft, strict=True)]
    discordant = table.only_base + table.only_sft
    design = design_of(differences, clusters, discordant, correlation, design_effect)
    base_rate = clustered_rate(base, clusters, correlation, design_effect)
    sft_rate = clustered_rate(sft, clusters, correlation, design_effect)
    effect = design.design_effect
    interval = paired_interval(table.only_base / effect, table.only_sft / effect, len(base) / effect, df=design.df)
    return PairedComparison(
        n=len(base),
        base=base_rate,
        sft=sft_rate,
        lift=(table.only_sft - table.only_base) / len(base),
        lift_interval=interval,
        mcnemar=table,
        cohens_h=cohens_h(sft_rate.value, base_rate.value),
        clusters=design.clusters,
        design_effect=effect,
        effective_n=len(base) / effect,
        interval_method="clustered" if design.df is not None else "overall design effect",
        clustered_p_value=_clustered_p_value(table, design),
    )


def _clustered_p_value(table: McNemar, design: Design) -> float:
    """Return the two-sided p-value of the score test of lift 0, with the design effect and Student's t."""
    discordant = table.only_base + table.only_sft
    if discordant == 0:
        return 1.0
    statistic = abs(table.only_sft - table.only_base) / math.sqrt(discordant * design.design_effect)
    return float(2 * (stats.norm.sf(statistic) if design.df is None else stats.t.sf(statistic, design.df)))


def compare_paired(
    base: Sequence[bool],
    sft: Sequence[bool],
    types: Sequence[str],
    clusters: Sequence[str],
    *,
    correlation: float,
    fdr: float = 0.10,
) -> PairedResults:
    """Compare two arms over all items and for each type, with `benjamini_hochberg` over the p-values of the types.

    Types of fewer than `MIN_CLUSTERS` clusters take the design effect of all items.

    Args:
        base: success of the base on each item.
        sft: success of the SFT arm on the same items, in the same order.
        types: the type of each item.
        clusters: cluster (family) of each item.
        correlation: preregistered intra-class correlation, used where the design effect cannot be estimated.
        fdr: false discovery rate over the types.

    Raises:
        ValueError: the lengths differ, or there are no items.
    """
    check_paired(base, types)
    overall = compare(base, sft, clusters, correlation=correlation)
    comparisons = {}
    for kind in sorted(set(types)):
        indices = [i for i, label in enumerate(types) if label == kind]
        comparisons[kind] = compare(
            [base[i] for i in indices],
            [sft[i] for i in indices],
            [clusters[i] for i in indices],
            correlation=correlation,
            design_effect=overall.design_effect,
        )
    adjusted = benjamini_hochberg([c.p_value for c in comparisons.values()], fdr)
    by_type = {
        kind: comparison.model_copy(update={"p_adjusted": p, "significant": significant})
        for (kind, comparison), p, significant in zip(comparisons.items(), *adjusted, strict=True)
    }
    return PairedResults(overall, by_type)


def surely_worse(comparisons: Mapping[str, PairedComparison], fdr: float) -> tuple[str, ...]:
    """Return the types on which SFT is worse than the base, in order, with a bounded rate of false statements.

    A type counts if its lift is negative and its two-sided p-value is rejected by `benjamini_hochberg` over all types.
    So the expected share of wrong signs among the rejected types is at most half the false discovery rate, also for
    those selected as negative (Benjamini and Yekutieli 2005, section 4 on directional decisions).

    Args:
        comparisons: comparison by type.
        fdr: false discovery rate over the types.
    """
    adjusted = benjamini_hochberg([comparison.p_value for comparison in comparisons.values()], fdr)
    rejected = zip(comparisons.items(), adjusted.significant, strict=True)
    return tuple(sorted(kind for (kind, comparison), significant in rejected if significant and comparison.lift < 0))

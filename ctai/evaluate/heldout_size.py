"""Size and statistical power of the frozen test set, known before a model is loaded.

Owns the metrics of gate instruments about the test set. Does not draw it (`ctai.tasks.heldout`).
"""

from collections import Counter
from collections.abc import Sequence

from ctai.config import EvaluationSettings, MetricValue, RunConfig, threshold_of, to_metric
from ctai.evaluate.attempts import alpha_of_comparison
from ctai.records import HeldoutItem
from ctai.registry import metric_spec
from ctai.statistics import mcnemar_power, non_inferiority_power, planned_design_effect
from ctai.tasks import GUARDED_TYPES
from ctai.tasks.heldout import build_heldout, unseen_families
from ctai.tasks.registry import select_families

NON_INFERIORITY_MARGIN = -EvaluationSettings().non_inferiority_limit
# A lift goes with items that differ by chance, so that the arms differ on more items than the lift.
CHANCE_DISCORDANCE = 0.10


def heldout_values(config: RunConfig, heldout: Sequence[HeldoutItem], artifact: str) -> dict[str, MetricValue]:
    """Compute effective size, power, and counts by type and split of the test set.

    The effective number of items is that of the asked families over the planned design effect
    (`ctai.statistics.planned_design_effect`) at `heldout.intraclass_correlation`. Power is computed for that number, rounded
    down: of McNemar's test at the default alpha of the first comparison, and of the non-inferiority test at a margin of
    0.05 without a true difference.

    Args:
        config: configuration of the run.
        heldout: the frozen test set.
        artifact: its file, relative to the run directory.
    """
    asked = [item for item in heldout if item.split == "asked"]
    sizes = list(Counter(item.family for item in asked).values())
    design_effect = planned_design_effect(sizes, config.heldout.intraclass_correlation) if asked else 1.0
    effective = len(asked) / design_effect
    note = (
        f"{len(asked)} items of {len(sizes)} families at a planned design effect of {design_effect:.2f} (intra-class "
        f"correlation {config.heldout.intraclass_correlation:g})"
    )
    return {
        "heldout_effective_items": MetricValue(effective, n=len(asked), artifact=artifact, note=note),
        **_power_values(config, int(effective), artifact),
        **_count_values(config, heldout, artifact),
    }


def _power_values(config: RunConfig, effective: int, artifact: str) -> dict[str, MetricValue]:
    settings = config.heldout
    lift, discordance = settings.lift_to_detect, settings.discordance
    differing = min(1.0, max(discordance, lift + CHANCE_DISCORDANCE))
    alpha = alpha_of_comparison(EvaluationSettings().alpha, 1)
    superiority = mcnemar_power(effective, lift, differing, alpha)
    non_inferiority = non_inferiority_power(effective, NON_INFERIORITY_MARGIN, discordance)
    superiority_note = (
        f"to detect a lift of {lift:g} at alpha {alpha:.4f} where the arms differ on {differing:g} of the items"
    )
    non_inferiority_note = (
        f"to show a difference of at least -{NON_INFERIORITY_MARGIN:g} where there is none and the arms differ on "
        f"{discordance:g} of the items"
    )
    return {
        "heldout_power": MetricValue(superiority, n=effective, artifact=artifact, note=superiority_note),
        "heldout_non_inferiority_power": MetricValue(
            non_inferiority, n=effective, artifact=artifact, note=non_inferiority_note
        ),
    }


def _count_values(config: RunConfig, heldout: Sequence[HeldoutItem], artifact: str) -> dict[str, MetricValue]:
    families = select_families(config.generation.embedded_world)
    asked = [item for item in heldout if item.split == "asked"]
    unseen = [item for item in heldout if item.split == "unseen"]
    guarded = [item for item in asked if item.type in GUARDED_TYPES]
    types = Counter(item.type for item in asked)
    smallest = min(types, key=lambda kind: (types[kind], kind), default="none")
    has_guarded = any(family.type in GUARDED_TYPES for family in families)
    has_unseen = bool(unseen_families(config.generation.embedded_world))
    per_type_note = f"type {smallest} of {len(types)} has the fewest items"
    return {
        "heldout_items_per_type": MetricValue(types[smallest], n=len(asked), artifact=artifact, note=per_type_note),
        **_group_values("guarded", guarded, has_guarded, f"types {' and '.join(GUARDED_TYPES)}", artifact),
        **_group_values("unseen", unseen, has_unseen, "families held out whole", artifact),
    }


def _group_values(
    group: str, items: Sequence[HeldoutItem], applicable: bool, members: str, artifact: str
) -> dict[str, MetricValue]:
    """Count the items and families of a group; not applicable where no family of the run can be in it."""
    families = {item.family for item in items}
    note = members if applicable else f"{members}: the run has none"
    return {
        f"heldout_{group}_{unit}": MetricValue(count, n=len(items), artifact=artifact, note=note, applicable=applicable)
        for unit, count in (("items", len(items)), ("families", len(families)))
    }


def heldout_problems(config: RunConfig) -> tuple[str, ...]:
    """Return the thresholds that the test set of a configuration cannot meet, one sentence each.

    Needs no model: gate instruments would miss the same thresholds.
    """
    settings, embedded = config.heldout, config.generation.embedded_world
    heldout = build_heldout(settings.count, config.seed, embedded, settings.unseen_count)
    metrics = (
        (spec, to_metric(spec, value, threshold_of(spec, config)))
        for name, value in heldout_values(config, heldout, "").items()
        for spec in (metric_spec(name),)
    )
    return tuple(
        f"{metric.name} is {metric.value:.3g}, required {spec.comparison} {metric.threshold:g} ({metric.note}): {spec.remedy}"
        for spec, metric in metrics
        if metric.missed
    )

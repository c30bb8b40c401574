"""Metrics of gate evaluation: their values, and the reasons against an adapter.

Gate, decision and verification use these functions. Does not own thresholds (`ctai.registry`, configuration) or the
comparison behind the values (`ctai.evaluate.comparison`).
"""

import math

from ctai.config import MetricValue, RunConfig, threshold_of, to_metric
from ctai.evaluate.arms import BASE_FEW_SHOT
from ctai.evaluate.claims import rival_sentence
from ctai.records import EvaluationSummary, PairedComparison, TrainingManifest
from ctai.registry import metric_spec

_NO_GUARDED_ITEMS = "the test set has no safety or format items"


def no_go_reasons(summary: EvaluationSummary, config: RunConfig) -> tuple[str, ...]:
    """Return the reasons against an adapter, one for each metric that misses its threshold; empty when it is go.

    Args:
        summary: the comparison; its field `go` is not read.
        config: with the thresholds; its alpha is that of this comparison on the test set.
    """
    values = comparison_values(summary, "")
    specs = [(metric_spec(name), value) for name, value in values.items()]
    metrics = (to_metric(spec, value, threshold_of(spec, config)) for spec, value in specs)
    return tuple(metric.sentence() for metric in metrics if metric.missed)


def evaluation_values(
    summary: EvaluationSummary, training: TrainingManifest, artifact: str, manifest: str
) -> dict[str, MetricValue]:
    """Compute the metrics of the gate.

    Args:
        summary: the comparison of the arms.
        training: the manifest of the adapter.
        artifact: path of the summary, relative to the run directory.
        manifest: path of the manifest, likewise.
    """
    supervised = MetricValue(training.supervised_tokens, artifact=manifest)
    return {"supervised_tokens": supervised, **comparison_values(summary, artifact)}


def comparison_values(summary: EvaluationSummary, artifact: str) -> dict[str, MetricValue]:
    """Compute the metrics that follow from the comparison of the arms.

    Args:
        summary: the comparison of the arms.
        artifact: path of the summary, relative to the run directory.
    """
    overall, strict, interval = summary.overall, summary.overall_strict, summary.overall.lift_interval
    few_shot, stopped, share = summary.rivals[BASE_FEW_SHOT], summary.stop_rate, summary.strict_share
    return {
        "arm_difference": MetricValue(
            summary.logit_difference, artifact=artifact, note="largest difference of a log-probability between the arms"
        ),
        "content_lift": MetricValue(overall.lift, interval, overall.n, artifact, _rates_note(overall)),
        "content_p_value": MetricValue(overall.p_gain, None, overall.n, artifact, _test_note(overall)),
        "lift_interval_width": MetricValue(
            interval.high - interval.low, None, overall.n, artifact, _size_note(overall)
        ),
        "stop_rate": MetricValue(
            stopped.value,
            stopped.interval,
            stopped.n,
            artifact,
            f"{stopped.k} of {stopped.n} answers ended by the model",
        ),
        "strict_p_value": MetricValue(
            strict.p_gain,
            None,
            strict.n,
            artifact,
            f"strict success of SFT {strict.sft.value:.3f}, base with a stop rule {strict.base.value:.3f}",
        ),
        "strict_share": MetricValue(
            share.value, share.interval, share.n, artifact, f"{share.k} of {share.n} correct answers ended by the model"
        ),
        "few_shot_non_inferiority": MetricValue(
            few_shot.comparison.lift,
            few_shot.comparison.lift_interval,
            few_shot.comparison.n,
            artifact,
            rival_sentence(BASE_FEW_SHOT, few_shot),
        ),
        "guarded_non_inferiority": _guarded_value(summary.guarded, artifact),
        "type_regressions": MetricValue(
            len(summary.regressions),
            n=len(summary.by_type_few_shot),
            artifact=artifact,
            note=f"of the types {', '.join(summary.by_type_few_shot)}: {', '.join(summary.regressions) or 'none'}",
        ),
    }


def _guarded_value(guarded: PairedComparison | None, artifact: str) -> MetricValue:
    if guarded is None:
        return MetricValue(math.nan, n=0, artifact=artifact, note=_NO_GUARDED_ITEMS, applicable=False)
    note = f"{_rates_note(guarded, 'few-shot base')}; {guarded.clusters} families"
    return MetricValue(guarded.lift, guarded.lift_interval, guarded.n, artifact, note)


def _rates_note(comparison: PairedComparison, rival: str = "base") -> str:
    return f"{rival} {comparison.base.value:.3f}, SFT {comparison.sft.value:.3f}"


def _test_note(comparison: PairedComparison) -> str:
    table = comparison.mcnemar
    return (
        f"the larger of McNemar's p = {table.p_value:.2g} (only base {table.only_base}, only SFT {table.only_sft}) and "
        f"the p-value clustered by family, {comparison.clustered_p_value:.2g}"
    )


def _size_note(comparison: PairedComparison) -> str:
    return (
        f"{comparison.clusters} families, design effect {comparison.design_effect:.2f}, "
        f"effective n {comparison.effective_n:.0f}"
    )

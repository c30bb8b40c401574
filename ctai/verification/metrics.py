"""The metrics of every gate computed again from raw records.

`RECOMPUTED` says for each gate and metric how; a new metric of a gate needs its row here. What cannot be computed again
without the model is taken from the record and marked in docs/verify.md.
"""

from collections.abc import Callable, Iterator, Mapping

from ctai.evaluate.arms import BASE
from ctai.evaluate.comparison import regression_metric
from ctai.gates.contamination import contamination_metrics
from ctai.gates.instruments import critic_metric, detector_metrics, heldout_metrics, scorer_metrics
from ctai.records import Comparison, Metric, QcSummary, Rate
from ctai.rundir.diff import differences
from ctai.statistics import rate
from ctai.verification.instruments import calibration_name, heldout_differences
from ctai.verification.records import EXAMINATION, HELDOUT, RunRecords
from ctai.verification.sentinels import model_check_differences

__all__ = ["RECOMPUTED", "RunRecords", "metric_differences", "record_differences"]

Recomputation = Callable[[RunRecords], Metric]


# -------------------------------------------------------------------------------------------------- 1: contamination


def _examined(name: str) -> Recomputation:
    """A metric of gate 1, made by the gate from an examination that was judged again."""

    def again(raw: RunRecords) -> Metric:
        return next(m for m in contamination_metrics(raw.recomputed_model_check, EXAMINATION) if m.name == name)

    return again


# ---------------------------------------------------------------------------------------------------- 2a: instruments


def _instrument(name: str) -> Recomputation:
    """A metric of gate 2a, made by the gate from calibrations that were computed again."""

    def again(raw: RunRecords) -> Metric:
        config, found = raw.config("instruments"), raw.instruments
        metrics = (
            *heldout_metrics(config.heldout, raw.heldout, HELDOUT),
            *scorer_metrics(config.instruments, found.scorers, calibration_name("scorers")),
            *detector_metrics(config.instruments, found.detectors, calibration_name("detectors")),
            *(critic_metric(config.critic, one, calibration_name(f"critic_{one.kind}")) for one in found.critics),
        )
        return next(metric for metric in metrics if metric.name == name)

    return again


# ------------------------------------------------------------------------------------------------- 2b, 3: generation


def _quality(of: Callable[[RunRecords], QcSummary], name: str) -> Recomputation:
    """A metric of quality control; `ctai.qc.summary` computes it from raw records and holds it against the configuration."""

    def again(raw: RunRecords) -> Metric:
        return next(metric for metric in of(raw).thresholds if metric.name == name)

    return again


def _failed_shards(raw: RunRecords) -> Metric:
    found = raw.scale
    return Metric(
        name="failed_shards", value=len(found.failed), comparison="==", threshold=0, n=found.shards,
        artifact="data/qc_summary.json",
    )  # fmt: skip


_QUALITY = (
    "runaway_rate", "token_limit_rate", "delimiter_rate", "truncated_rate", "median_tokens", "instruction_acceptance",
    "pair_acceptance", "duplicate_rate", "heldout_overlap", "kept_faults",
)  # fmt: skip


def _qualities(of: Callable[[RunRecords], QcSummary], counted: str) -> dict[str, Recomputation]:
    return {name: _quality(of, name) for name in (counted, *_QUALITY)}


# ------------------------------------------------------------------------------------------------ 4a, 4b: evaluation


def _with_rate(metric: Metric, found: Rate) -> Metric:
    return metric.model_copy(update={"value": found.value, "interval": found.interval, "n": found.n})


def _headroom(raw: RunRecords) -> Metric:
    items = raw.base_arms[BASE].items
    ceiling = raw.config("headroom").evaluation.headroom_max_base
    metric = Metric(
        name="base_zero_shot_content", value=0, comparison="<=", threshold=ceiling,
        artifact="results/headroom/base/items.jsonl",
    )  # fmt: skip
    return _with_rate(metric, rate(sum(item.content for item in items), len(items)))


def _supervised_tokens(raw: RunRecords) -> Metric:
    found = raw.evaluation
    return Metric(
        name="supervised_tokens", value=found.training.supervised_tokens, comparison=">", threshold=0,
        artifact=raw.rundir.relative(found.paths.adapter / "training_manifest.json"),
    )  # fmt: skip


def _compared(name: str, comparison: Comparison, again: Callable[[RunRecords], Mapping[str, object]]) -> Recomputation:
    """A metric of the comparison of the arms; `again` gives its value and threshold, and what else it has."""

    def metric(raw: RunRecords) -> Metric:
        artifact = raw.rundir.relative(raw.evaluation.paths.results / "evaluation.json")
        return Metric.model_validate({"name": name, "comparison": comparison, "artifact": artifact, **again(raw)})

    return metric


def _arm_difference(raw: RunRecords) -> dict[str, object]:
    return {"value": raw.evaluation.summary.logit_difference, "threshold": 0}


def _lift(raw: RunRecords) -> dict[str, object]:
    overall = raw.evaluation.summary.overall
    return {"value": overall.lift, "threshold": 0, "interval": overall.lift_interval, "n": overall.n}


def _p_value(raw: RunRecords) -> dict[str, object]:
    overall, alpha = raw.evaluation.summary.overall, raw.evaluation.config.evaluation.alpha
    return {"value": overall.mcnemar.p_gain, "threshold": alpha, "n": overall.n}


def _width(raw: RunRecords) -> dict[str, object]:
    overall, limit = raw.evaluation.summary.overall, raw.evaluation.config.evaluation.max_interval_width
    return {"value": overall.lift_interval.high - overall.lift_interval.low, "threshold": limit, "n": overall.n}


def _regressed(kind: str) -> Recomputation:
    """Made by the gate's own function from a summary that was computed again."""

    def again(raw: RunRecords) -> Metric:
        artifact = raw.rundir.relative(raw.evaluation.paths.results / "evaluation.json")
        return regression_metric(kind, raw.evaluation.summary, artifact)

    return again


RECOMPUTED: Mapping[str, Mapping[str, Recomputation]] = {
    "contamination": {
        name: _examined(name)
        for name in (
            "template_disabled",
            "special_tokens_findings",
            "names_findings",
            "adapter_files_findings",
            "attached_adapter_findings",
            "weight_files_findings",
            "instruct_weights_findings",
            "sentinel_completion_rate",
            "sentinel_control_token_mass",
            "sentinel_followed_and_stopped_rate",
            "sentinel_worksheet_stopped_rate",
        )
    },
    "instruments": {
        name: _instrument(name)
        for name in (
            "heldout_items",
            "heldout_power",
            "scorer_kappa",
            "scorer_family_kappa",
            "detector_precision",
            "detector_recall",
            "instruction_critic_balanced_accuracy",
            "pair_critic_balanced_accuracy",
        )
    },
    "pilot": _qualities(lambda raw: raw.pilot.summary, "kept_examples"),
    "scale": {**_qualities(lambda raw: raw.scale.summary, "unique_examples"), "failed_shards": _failed_shards},
    "headroom": {"base_zero_shot_content": _headroom},
    "evaluation": {
        "supervised_tokens": _supervised_tokens,
        "arm_difference": _compared("arm_difference", ">", _arm_difference),
        "content_lift": _compared("content_lift", ">", _lift),
        "content_p_value": _compared("content_p_value", "<", _p_value),
        "lift_interval_width": _compared("lift_interval_width", "<=", _width),
        "safety_regressions": _regressed("safety"),
        "format_regressions": _regressed("format"),
    },
}


def _instrument_differences(raw: RunRecords) -> Iterator[str]:
    yield from heldout_differences(raw.heldout, raw.config("instruments"), HELDOUT)
    yield from raw.instruments.differences


_RECORDS: Mapping[str, Callable[[RunRecords], Iterator[str]]] = {
    "contamination": lambda raw: model_check_differences(raw.examination, raw.recomputed_model_check, EXAMINATION),
    "instruments": _instrument_differences,
    "pilot": lambda raw: iter(raw.pilot.differences),
    "scale": lambda raw: iter(raw.scale.differences),
    "headroom": lambda raw: (text for arm in raw.base_arms.values() for text in arm.differences),
    "evaluation": lambda raw: iter(raw.evaluation.differences),
}


def record_differences(raw: RunRecords, gate: str) -> Iterator[str]:
    """Where a gate's records are not what follows from the raw ones.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    return _RECORDS[gate](raw)


def metric_differences(raw: RunRecords, gate: str, metric: Metric) -> Iterator[str]:
    """Where a metric of a verdict is not what is computed again. Its note, a sentence for people, is not compared.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    if metric.name not in RECOMPUTED[gate]:
        yield f"{metric.name}: is no metric of gate {gate}"
        return
    again = RECOMPUTED[gate][metric.name](raw)
    yield from differences(metric, again.model_copy(update={"note": metric.note}), metric.name)

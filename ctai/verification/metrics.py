"""Recomputation of every metric and record of a gate from raw records.

A value is computed by the function that the gate itself uses, on records that were recomputed first. What cannot be
recomputed without the model is taken from the record and marked in docs/verify.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from ctai.config import gate_metrics
from ctai.evaluate.comparison import evaluation_values
from ctai.gates.contamination import contamination_values
from ctai.gates.headroom import headroom_values
from ctai.gates.instruments import critic_values, detector_values, heldout_values, scorer_values
from ctai.gates.scale import failed_shards_metric
from ctai.records import Metric
from ctai.rundir.diff import differences
from ctai.verification.instruments import calibration_name, heldout_differences
from ctai.verification.records import EXAMINATION, HELDOUT, RunRecords
from ctai.verification.sentinels import model_check_differences

__all__ = ["RECOMPUTED_METRICS", "RunRecords", "metric_differences", "record_differences"]


def _contamination(raw: RunRecords) -> tuple[Metric, ...]:
    values = contamination_values(raw.recomputed_model_check, EXAMINATION)
    return gate_metrics("contamination", raw.config("contamination"), values)


def _instruments(raw: RunRecords) -> tuple[Metric, ...]:
    config, instruments = raw.config("instruments"), raw.instruments
    values = {
        **heldout_values(config.heldout, raw.heldout, HELDOUT),
        **scorer_values(instruments.scorers, calibration_name("scorers")),
        **detector_values(instruments.detectors, calibration_name("detectors")),
    }
    for critic in instruments.critics:
        values |= critic_values(critic, calibration_name(f"critic_{critic.kind}"))
    return gate_metrics("instruments", config, values)


def _headroom(raw: RunRecords) -> tuple[Metric, ...]:
    items = {name: arm.items for name, arm in raw.base_arms.items()}
    values = headroom_values(items, "results/headroom/base/items.jsonl")
    return gate_metrics("headroom", raw.config("headroom"), values)


def _scale(raw: RunRecords) -> tuple[Metric, ...]:
    shards = failed_shards_metric(raw.scale.failed, raw.scale.shards, "data/qc_summary.json")
    return (*raw.scale.summary.thresholds, shards)


def _evaluation(raw: RunRecords) -> tuple[Metric, ...]:
    evaluation = raw.evaluation
    summary = raw.rundir.relative(evaluation.paths.results / "evaluation.json")
    manifest = raw.rundir.relative(evaluation.paths.adapter / "training_manifest.json")
    values = evaluation_values(evaluation.summary, evaluation.training, summary, manifest)
    return gate_metrics("evaluation", evaluation.config, values)


RECOMPUTED_METRICS: Mapping[str, Callable[[RunRecords], tuple[Metric, ...]]] = {
    "contamination": _contamination,
    "instruments": _instruments,
    "headroom": _headroom,
    "pilot": lambda raw: raw.pilot.summary.thresholds,
    "scale": _scale,
    "evaluation": _evaluation,
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


def metric_differences(raw: RunRecords, gate: str, metrics: Iterable[Metric]) -> Iterator[str]:
    """Yield where the metrics of a verdict are not those that are recomputed; their notes are not compared.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    recomputed = {metric.name: metric for metric in RECOMPUTED_METRICS[gate](raw)}
    for metric in metrics:
        if metric.name not in recomputed:
            yield f"{metric.name}: is no metric of gate {gate}"
            continue
        expected = recomputed[metric.name].model_copy(update={"note": metric.note})
        yield from differences(metric, expected, metric.name)

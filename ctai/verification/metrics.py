"""Recomputation of every metric and record of a gate from raw records.

A value is computed by the function that the gate itself uses, on records that were recomputed first. What cannot be
recomputed without the model is taken from the record and marked in docs/verify.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from ctai.config import gate_metrics
from ctai.evaluate.heldout_size import heldout_values
from ctai.evaluate.metrics import evaluation_values
from ctai.gates.contamination import contamination_values
from ctai.gates.headroom import headroom_values
from ctai.gates.instruments import critic_values, detector_values, scorer_values
from ctai.gates.scale import failed_shards_metric
from ctai.records import Metric
from ctai.rundir.diff import differences
from ctai.verification.instruments import heldout_differences
from ctai.verification.records import RunRecords
from ctai.verification.sentinels import model_check_differences


def _calibration(records: RunRecords, instrument: str) -> str:
    """Return the name of the calibration of an instrument."""
    return records.rundir.relative(records.rundir.calibration(instrument))


def _contamination(records: RunRecords) -> tuple[Metric, ...]:
    values = contamination_values(records.recomputed_model_check, records.rundir.relative(records.rundir.model_check))
    return gate_metrics("contamination", records.config("contamination"), values)


def _instruments(records: RunRecords) -> tuple[Metric, ...]:
    config, instruments = records.config("instruments"), records.instruments
    values = {
        **heldout_values(config, records.heldout, records.rundir.relative(records.rundir.heldout)),
        **scorer_values(instruments.scorers, _calibration(records, "scorers")),
        **detector_values(instruments.detectors, _calibration(records, "detectors")),
    }
    for critic in instruments.critics:
        values |= critic_values(critic, _calibration(records, f"critic_{critic.kind}"))
    return gate_metrics("instruments", config, values)


def _headroom(records: RunRecords) -> tuple[Metric, ...]:
    items = {name: arm.items for name, arm in (records.base_arms | records.reference_arm).items()}
    config = records.config("headroom")
    return gate_metrics("headroom", config, headroom_values(items, records.rundir, config))


def _scale(records: RunRecords) -> tuple[Metric, ...]:
    shards = failed_shards_metric(
        records.scale.failed, records.scale.shards, records.rundir.relative(records.rundir.dataset_qc)
    )
    return (*records.scale.summary.thresholds, shards)


def _evaluation(records: RunRecords) -> tuple[Metric, ...]:
    evaluation = records.evaluation
    summary = records.rundir.relative(evaluation.paths.results / "evaluation.json")
    manifest = records.rundir.relative(evaluation.paths.adapter / "training_manifest.json")
    values = evaluation_values(evaluation.summary, evaluation.training, summary, manifest)
    return gate_metrics("evaluation", evaluation.config, values)


RECOMPUTED_METRICS: Mapping[str, Callable[[RunRecords], tuple[Metric, ...]]] = {
    "contamination": _contamination,
    "instruments": _instruments,
    "headroom": _headroom,
    "pilot": lambda records: records.pilot.summary.thresholds,
    "scale": _scale,
    "evaluation": _evaluation,
}


def _instrument_differences(records: RunRecords) -> Iterator[str]:
    yield from heldout_differences(
        records.heldout, records.config("instruments"), records.rundir.relative(records.rundir.heldout)
    )
    yield from records.instruments.differences


_RECORDS: Mapping[str, Callable[[RunRecords], Iterator[str]]] = {
    "contamination": lambda records: model_check_differences(
        records.model_check,
        records.recomputed_model_check,
        records.rundir.relative(records.rundir.model_check),
    ),
    "instruments": _instrument_differences,
    "pilot": lambda records: iter(records.pilot.differences),
    "scale": lambda records: iter(records.scale.differences),
    "headroom": lambda records: (
        text for arm in (*records.base_arms.values(), *records.reference_arm.values()) for text in arm.differences
    ),
    "evaluation": lambda records: iter(records.evaluation.differences),
}


def record_differences(records: RunRecords, gate: str) -> Iterator[str]:
    """Yield where the records of a gate differ from those recomputed from raw records.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    return _RECORDS[gate](records)


def metric_differences(records: RunRecords, gate: str, metrics: Iterable[Metric]) -> Iterator[str]:
    """Yield where the metrics of a verdict are not those that are recomputed; their notes are not compared.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    recomputed = {metric.name: metric for metric in RECOMPUTED_METRICS[gate](records)}
    for metric in metrics:
        if metric.name not in recomputed:
            yield f"{metric.name}: is no metric of gate {gate}"
            continue
        expected = recomputed[metric.name].model_copy(update={"note": metric.note})
        yield from differences(metric, expected, metric.name)

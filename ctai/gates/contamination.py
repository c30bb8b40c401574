"""Gate 1: the base model is loaded and examined, and every check becomes a metric."""

import math
from pathlib import Path
from typing import Any

from ctai.config import MetricValue
from ctai.evidence.result import GateResult
from ctai.model.checks.sentinels import worst_worksheet
from ctai.pipeline.run import MODEL_CHECK, Run
from ctai.provenance import version_warnings
from ctai.records import ContaminationFinding, ContaminationReport, Rate, SentinelReport, WorksheetRates
from ctai.rundir import read_record, write_json

_CHECKS = ("special_tokens", "names", "adapter_files", "attached_adapter", "weight_files", "instruct_weights")


def check_base_model(run: Run) -> GateResult:
    """Load the base model and examine it, or reuse the record of the same examination of the same weights."""
    folder = run.rundir.evidence / "contamination"
    path = run.rundir.path(*MODEL_CHECK)
    stage = run.stage("contamination", folder, {"model": run.config.model}, {"files": run.base.files_digest})
    with run.phase("contamination", model=run.config.model.name) as phase:
        reused = stage.complete() is not None
        if not reused:
            stage.begin()
            run.progress.start("loading and examining the base model", 1)
            write_json(path, _report(run.base.check()))
            stage.finish([path], run.run_id)
            run.progress.advance()
            run.progress.finish()
        report = read_record(path, ContaminationReport)
        if report.provenance is not None and not report.findings:
            run.base.mark_passed(report.provenance)
        return run.finish_gate(_measured(run, report, path), reused=reused, phase=phase)


def _report(examination: Any) -> ContaminationReport:
    findings = tuple(ContaminationFinding(name=f.name, message=f.message) for f in examination.findings)
    return ContaminationReport(findings=findings, provenance=examination.provenance)


def _measured(run: Run, report: ContaminationReport, path: Path) -> GateResult:
    provenance = report.provenance
    notes = version_warnings(provenance.loader_version) if provenance is not None else ()
    if provenance is not None and provenance.sentinels is not None and provenance.sentinels.follows_instructions:
        notes += (
            "this base model already follows instructions in part: gate headroom judges whether that leaves room",
        )
    return run.judged("contamination", contamination_values(report, run.rundir.relative(path)), (path,), notes)


def contamination_values(report: ContaminationReport, artifact: str) -> dict[str, MetricValue]:
    """Compute the metrics of the gate from the record of a model check.

    Args:
        report: the record.
        artifact: its path, relative to the run directory.
    """
    template_disabled = report.provenance is not None and report.provenance.template_disabled
    values = {"template_disabled": MetricValue(float(template_disabled))}
    values |= {f"{check}_findings": _findings_value(report, check) for check in _CHECKS}
    values |= _sentinel_values(report.provenance.sentinels if report.provenance else None)
    return {name: value._replace(artifact=artifact) for name, value in values.items()}


def _findings_value(report: ContaminationReport, check: str) -> MetricValue:
    messages = [finding.message for finding in report.findings if finding.name == check]
    return MetricValue(len(messages), note="; ".join(messages))


def _sentinel_values(sentinels: SentinelReport | None) -> dict[str, MetricValue]:
    """Compute the metrics of the sentinel suite; nan, which meets no threshold, when the weights were not loaded."""
    names = ("completion_rate", "control_token_mass", "followed_and_stopped_rate", "worksheet_stopped_rate")
    if sentinels is None:
        return {f"sentinel_{name}": MetricValue(math.nan, note="the weights were not loaded") for name in names}
    values = (
        _rate_value(sentinels.completion_rate),
        MetricValue(sentinels.control_token_mass, note=sentinels.statistic),
        _rate_value(sentinels.followed_and_stopped_rate),
        _worksheet_value(worst_worksheet(sentinels.worksheets)),
    )
    return {f"sentinel_{name}": value for name, value in zip(names, values, strict=True)}


def _rate_value(rate: Rate, note: str = "") -> MetricValue:
    return MetricValue(rate.value, rate.interval, rate.n, note=note)


def _worksheet_value(worst: WorksheetRates | None) -> MetricValue:
    """The lower bound is compared: a few answers do not prove that weights were tuned."""
    if worst is None:
        return MetricValue(math.nan, note="no prompt format was tried")
    note = (
        f"value is the lower bound; form {worst.form!r}: after {worst.stopped.k} of {worst.stopped.n} answers the model "
        f"ended the text itself; {worst.followed.k} answers were right"
    )
    return _rate_value(worst.stopped, note)

"""Gate 1: the base model is loaded and examined, and every check becomes a metric."""

from pathlib import Path
from typing import Any

from ctai.evidence.result import GateResult
from ctai.model.checks.sentinels import (
    COMPLETION_FLOOR,
    CONTROL_MASS_CEILING,
    STOPPED_CEILING,
    WORKSHEET_CEILING,
    worst_worksheet,
)
from ctai.pipeline.run import MODEL_CHECK, Run
from ctai.provenance import version_warnings
from ctai.records import ContaminationFinding, ContaminationReport, Metric, SentinelReport
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
            write_json(path, _report(run.base.examine()))
            stage.finish([path], run.run_id)
            run.progress.advance()
            run.progress.finish()
        report = read_record(path, ContaminationReport)
        if report.provenance is not None and not report.findings:
            run.base.passed(report.provenance)
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
    return run.judged("contamination", contamination_metrics(report, run.rundir.relative(path)), (path,), notes)


def contamination_metrics(report: ContaminationReport, artifact: str) -> tuple[Metric, ...]:
    """What gate 1 judges, from the record of an examination; `artifact` is its name."""
    template_gone = float(report.provenance is not None and report.provenance.template_disabled)
    return (
        Metric(name="template_disabled", value=template_gone, comparison="==", threshold=1, artifact=artifact),
        *(_findings_metric(report, check, artifact) for check in _CHECKS),
        *sentinel_metrics(report, artifact),
    )


def _findings_metric(report: ContaminationReport, check: str, artifact: str) -> Metric:
    messages = [finding.message for finding in report.findings if finding.name == check]
    return Metric(
        name=f"{check}_findings", value=len(messages), comparison="==", threshold=0, note="; ".join(messages),
        artifact=artifact,
    )  # fmt: skip


def sentinel_metrics(report: ContaminationReport, artifact: str) -> list[Metric]:
    """What the suite measured; nan, which meets no threshold, when the weights were not even loaded."""
    sentinels = report.provenance.sentinels if report.provenance else None
    nan = float("nan")
    completion = sentinels.completion_rate if sentinels else None
    stopped = sentinels.followed_and_stopped_rate if sentinels else None
    return [
        Metric(
            name="sentinel_completion_rate", value=completion.value if completion else nan, comparison=">=",
            threshold=COMPLETION_FLOOR, interval=completion.interval if completion else None,
            n=completion.n if completion else None, artifact=artifact,
        ),
        Metric(
            name="sentinel_control_token_mass", value=sentinels.control_token_mass if sentinels else nan,
            comparison="<=", threshold=CONTROL_MASS_CEILING, artifact=artifact,
            note=sentinels.statistic if sentinels else "the weights were not loaded",
        ),
        Metric(
            name="sentinel_followed_and_stopped_rate", value=stopped.value if stopped else nan, comparison="<=",
            threshold=STOPPED_CEILING, interval=stopped.interval if stopped else None,
            n=stopped.n if stopped else None, artifact=artifact,
        ),
        _worksheet_metric(sentinels, artifact),
    ]  # fmt: skip


def _worksheet_metric(sentinels: SentinelReport | None, artifact: str) -> Metric:
    """The ceiling is asserted on the lower bound: what a few answers do is no proof that weights were tuned."""
    worst = worst_worksheet(sentinels.worksheets) if sentinels else None
    return Metric(
        name="sentinel_worksheet_stopped_rate",
        value=worst.stopped.interval.low if worst else float("nan"),
        comparison="<=",
        threshold=WORKSHEET_CEILING,
        interval=worst.stopped.interval if worst else None,
        n=worst.stopped.n if worst else None,
        artifact=artifact,
        note=(
            f"value is the lower bound; form {worst.form!r}: after {worst.stopped.k} of {worst.stopped.n} answers the model "
            f"ended the text itself; {worst.followed.k} answers were right"
            if worst
            else "the weights were not loaded"
        ),
    )

"""Gate contamination: checks of the base model in completion mode, each reported as a metric."""

import math
from pathlib import Path
from typing import Any

from ctai.config import MetricValue
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, failed_sentinel_samples
from ctai.model.checks.sentinels import worst_prompt_format
from ctai.pipeline.run import Run
from ctai.provenance import version_warnings
from ctai.provenance.canonical_use import canonical_use_findings
from ctai.records import ContaminationFinding, ContaminationReport, PromptFormatRates, Rate, SentinelReport
from ctai.rundir import read_record, write_json
from ctai.tasks import plugins

_CHECKS = (
    "canonical_use", "special_tokens", "names", "adapter_files", "attached_adapter", "weight_files", "instruct_weights",
)  # fmt: skip


def check_base_model(run: Run) -> GateResult:
    """Load and check the base model, or reuse the record of the same checks of the same weights."""
    path = run.rundir.model_check
    folder = path.parent
    parameters = {"model": run.config.model, **plugins.parameters()}
    stage = run.stage("contamination", folder, parameters, {"files": run.base.files_digest})
    with run.phase("contamination", model=run.config.model.name) as phase:
        reused = stage.complete() is not None
        if not reused:
            stage.begin()
            run.progress.start("loading and checking the base model", 1)
            write_json(path, _to_record(canonical_use_findings(plugins.active().files), run.base.check()))
            stage.finish([path], run.run_id)
            run.progress.advance()
            run.progress.finish()
        report = read_record(path, ContaminationReport)
        if report.provenance is not None and not report.findings:
            run.base.mark_passed(report.provenance)
        run.review_contexts["contamination"] = ReviewContext(samples=failed_sentinel_samples(report))
        return run.finish_gate(_gate_result(run, report, path), reused=reused, phase=phase)


def _to_record(code: tuple[ContaminationFinding, ...], check: Any) -> ContaminationReport:
    """Return the record of the findings in code and plugins, then of those on the model."""
    findings = tuple(ContaminationFinding(name=f.name, message=f.message) for f in check.findings)
    return ContaminationReport(findings=(*code, *findings), provenance=check.provenance)


def _gate_result(run: Run, report: ContaminationReport, path: Path) -> GateResult:
    provenance = report.provenance
    notes = version_warnings(provenance.loader_version) if provenance is not None else ()
    if provenance is not None and provenance.sentinels is not None and provenance.sentinels.follows_instructions:
        notes += (
            "this base model already follows instructions in part: gate headroom judges whether that leaves room",
        )
    return run.judge_values("contamination", contamination_values(report, run.rundir.relative(path)), (path,), notes)


def contamination_values(report: ContaminationReport, artifact: str) -> dict[str, MetricValue]:
    """Compute the metrics of the gate from the record of a model check.

    Args:
        report: the record.
        artifact: path of the record, relative to the run directory.
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
    names = ("completion_rate", "control_token_mass", "followed_and_stopped_rate", "prompt_format_stopped_rate")
    if sentinels is None:
        return {f"sentinel_{name}": MetricValue(math.nan, note="the weights were not loaded") for name in names}
    values = (
        _rate_value(sentinels.completion_rate),
        MetricValue(sentinels.control_token_mass, note=sentinels.statistic),
        _rate_value(sentinels.followed_and_stopped_rate),
        _prompt_format_value(worst_prompt_format(sentinels.prompt_formats)),
    )
    return {f"sentinel_{name}": value for name, value in zip(names, values, strict=True)}


def _rate_value(rate: Rate, note: str = "") -> MetricValue:
    return MetricValue(rate.value, rate.interval, rate.n, note=note)


def _prompt_format_value(worst: PromptFormatRates | None) -> MetricValue:
    """Return the metric whose lower bound is compared, since a few answers do not prove that weights were tuned."""
    if worst is None:
        return MetricValue(math.nan, note="no prompt format was tried")
    note = (
        f"value is the lower bound; form {worst.form!r}: after {worst.stopped.k} of {worst.stopped.n} answers the model "
        f"ended the text itself; {worst.followed.k} answers were correct"
    )
    return _rate_value(worst.stopped, note)

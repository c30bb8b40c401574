"""Summary of a run in a session of pytest: header, table of gates, and properties of the JUnit report."""

from itertools import takewhile
from typing import TYPE_CHECKING

from ctai.records import Metric, Verdict
from ctai.registry import GATES, METRICS, GateSpec, gate_named

if TYPE_CHECKING:
    from ctai.evidence.result import GateResult
    from ctai.pipeline.run import Run
    from ctai.pytest_plugin.session import GateSession


def suite_properties(run: "Run") -> dict[str, str]:
    """Return the properties of the JUnit suites: settings and model of the run; `reported_by.*` is this session."""
    from ctai.evidence.preregistration import relaxed_thresholds
    from ctai.evidence.stamp import read_stamp
    from ctai.rundir import digest_of

    environment, model = run.environment, run.config.model
    return {
        "run_id": run.run_id,
        "reported_by.git_commit": environment.git_commit,
        "reported_by.git_dirty": str(environment.git_dirty).lower(),
        "reported_by.code_digest": environment.code_digest,
        "config_digest": digest_of(run.config),
        "preregistration": digest_of(run.preregistration),
        "preregistration_stamp": stamp.answer if (stamp := read_stamp(run.rundir)) else "none",
        "relaxed_thresholds": "; ".join(relaxed_thresholds(run.config, GATES[-1])) or "none",
        "profile": run.config.profile,
        "control": run.config.control,
        "seed": str(run.config.seed),
        "model": model.name,
        "weights_digest": run.base.weights_digest,
        "reported_by.python": environment.python,
        "reported_by.torch": environment.torch,
        "reported_by.transformers": environment.transformers,
        "reported_by.packages": ", ".join(f"{name} {version}" for name, version in environment.packages.items()),
        "reported_by.cuda": str(environment.cuda),
        "reported_by.device": environment.device,
        "reported_by.device_memory_bytes": str(environment.device_memory_bytes),
        "reported_by.platform": environment.platform,
        "reported_by.cpu_count": str(environment.cpu_count),
    }


def metric_properties(result: "GateResult", metric: Metric) -> dict[str, str]:
    """Return the JUnit properties of one test: metric, value, threshold, interval, artifact and its SHA-256."""
    from ctai.evidence.junit import metric_threshold

    properties = {
        "metric": metric.name,
        "value": repr(metric.value),
        "threshold": metric_threshold(metric),
    }
    if metric.interval is not None:
        properties["interval"] = f"[{metric.interval.low:.6g}, {metric.interval.high:.6g}]"
    if not metric.applicable:
        properties["applicable"] = "false"
    if metric.n is not None:
        properties["n"] = str(metric.n)
    if note := "; ".join(filter(None, (metric.note, *result.notes))):
        properties["note"] = note
    if result.claim:
        properties["claim"] = result.claim
    if metric.artifact is not None:
        properties["artifact"] = metric.artifact
        properties["artifact_sha256"] = result.artifacts[metric.artifact]
    return properties


def header_lines(run: "Run") -> list[str]:
    """Return the head of the session: the run, its directory, and the gates that have passed already."""
    from ctai.evidence.verdicts import verdict_status

    # a gate whose predecessor has no valid verdict is going to be decided again
    valid = takewhile(lambda gate: verdict_status(run.rundir, run.config, gate).verdict, GATES)
    passed = [gate.name for gate in valid]
    control = f", control {run.config.control}" if run.config.control != "none" else ""
    lines = [
        f"ctai: profile {run.config.profile}, model {run.config.model.name}, seed {run.config.seed}{control}",
        f"ctai: run directory {run.rundir.root}",
    ]
    return lines + ([f"ctai: already passed: {', '.join(passed)}"] if passed else [])


def gate_table(session: "GateSession") -> list[str]:
    """Return the table of the selected gates: outcome, time, key numbers or missed thresholds, and the evidence."""
    lines = [line for name in session.selected for line in _gate_lines(session, gate_named(name))]
    return [*_failed_tests(session), *lines]


def _failed_tests(session: "GateSession") -> list[str]:
    """Return the line on failed tests that no verdict tells of; the gates have not passed while one stands."""
    from ctai.evidence.sessions import failed_tests_sentence

    sentence = failed_tests_sentence(session.unaccounted_failures)
    return [f"NOT PASSED: {sentence}"] if sentence else []


def _gate_lines(session: "GateSession", gate: GateSpec) -> list[str]:
    run, verdict, reason = session.run, session.verdicts.get(gate.name), session.failure_reason(gate.name)
    outcome = verdict.outcome if verdict else "blocked" if "blocked by" in reason else "not measured"
    seconds = f"{run.seconds[gate.name]:.0f} s" if gate.name in run.seconds else ""
    reused = "(reused)" if gate.name in run.reused else ""
    lines = [f"{gate.number:>3}  {gate.name:<14}{outcome.upper():<13}{seconds:>6} {reused}".rstrip()]
    details = _numbers(verdict) if verdict and verdict.passed else _misses(verdict) or [_without_metrics(reason)]
    lines += [f"       {line}" for line in details]
    if verdict:
        lines.append(f"       {run.rundir.verdict(gate)}")
    if verdict and verdict.outcome == "failed":
        lines.append(f"       {run.rundir.review_packet(gate.name)}: samples that count against the gate")
    return lines


def _numbers(verdict: Verdict) -> list[str]:
    """Return the claim, relaxed thresholds, key numbers, and every metric that does not apply or has no items."""
    relaxed = [f"relaxed threshold: {threshold}" for threshold in verdict.relaxed_thresholds]
    key = (
        metric for metric in verdict.metrics if METRICS[metric.name].is_key or metric.n == 0 or not metric.applicable
    )
    claim = [f"{verdict.claim}."] if verdict.claim else []
    return [*claim, *relaxed, *(metric.sentence() for metric in key)]


def _without_metrics(reason: str) -> str:
    """Return why a gate has no verdict; the metrics of the gate that blocks it stand in that gate's own lines."""
    return reason.split(":")[0] if reason.startswith("blocked by") else reason


def _misses(verdict: Verdict | None) -> list[str]:
    """Return the missed metrics with value, interval and threshold, then the other reasons against the gate."""
    if verdict is None:
        return []
    missed = [metric for metric in verdict.metrics if metric.missed]
    failures = {metric.failure() for metric in missed}
    return [
        *(metric.sentence() for metric in missed),
        *(reason for reason in verdict.reasons if reason not in failures),
    ]

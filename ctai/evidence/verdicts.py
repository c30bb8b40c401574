"""Verdicts of gates: recording, reading and validity.

A verdict is valid only while everything it names is unchanged: configuration, code, preregistration, the digests of its
artifacts and the verdict before it.
"""

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evidence.preregistration import describe_changes, preregister, relaxed_thresholds
from ctai.evidence.result import GateResult
from ctai.evidence.sessions import makers_of
from ctai.evidence.stamp import stamp_notes
from ctai.provenance import code_digest
from ctai.records import Metric, Outcome, Preregistration, Record, Verdict
from ctai.registry import GateSpec, gate_named, gates_before
from ctai.rundir import RunDir, digest_of, json_text, read_record, sha256_file, write_bytes, write_json


class VerdictStatus(NamedTuple):
    """Validity of the recorded verdict of a gate.

    Attributes:
        verdict: the verdict if it is valid, else None.
        problem: reason why there is no valid verdict; empty if there is one.
    """

    verdict: Verdict | None
    problem: str


def verdict_path(rundir: RunDir, gate: GateSpec) -> str:
    """Return the path of the verdict of a gate, relative to the run directory."""
    return rundir.relative(rundir.verdict(gate))


def config_digest(config: RunConfig, gate: GateSpec) -> str:
    """Return the digest of the configuration that a gate depends on."""
    return digest_of(config_of(config, gate))


def config_of(config: RunConfig, gate: GateSpec) -> dict[str, Any]:
    """Return the configuration that a gate depends on: its sections and those of all gates before it."""
    sections = [s for g in (*gates_before(gate.name), gate) for s in g.sections]
    values = config.model_dump(mode="json")
    return {section: values[section] for section in sections}


def gate_key(config: RunConfig, gate: GateSpec, previous: str | None) -> str:
    """Return the digest of configuration, code and the verdict before it: all that a gate depends on but its artifacts."""
    return key_of(gate, config_digest(config, gate), code_digest(), previous)


def key_of(gate: GateSpec, config: str, code: str, previous: str | None) -> str:
    """Return the key of a gate from the digests of configuration, code and the verdict before it."""
    return digest_of({"gate": gate.name, "config": config, "code": code, "previous": previous or ""})


def record_verdict(
    rundir: RunDir,
    config: RunConfig,
    result: GateResult,
    outcomes: Mapping[str, str],
    reasons: tuple[str, ...] = (),
    untested: tuple[str, ...] = (),
) -> Verdict:
    """Decide a gate and write its verdict.

    Args:
        rundir: the run directory.
        config: configuration of the run.
        result: metrics and artifacts of the gate.
        outcomes: pytest's outcome of the test of each metric: "passed", "failed" or another.
        reasons: errors that fail the gate beside its metrics, such as a failed test that asserts no metric.
        untested: sentences about skipped tests that assert no metric; they leave the gate incomplete.

    Returns:
        The verdict: `passed` only when every metric that applies was asserted by a test that passed, `incomplete`
        when some were not asserted, `failed` otherwise. A metric that does not apply needs no test.
    """
    gate = gate_named(result.gate)
    # a metric that misses its threshold fails the gate, whatever the outcome of its test
    missed = tuple(name for name in gate.metric_names if outcomes.get(name) == "failed" or result.metric(name).missed)
    failed = tuple(_failure_reason(result.metric(name)) for name in missed) + reasons
    unasserted = tuple(
        f"{name} was not tested"
        for name in gate.metric_names
        if name not in missed and result.metric(name).applicable and outcomes.get(name) != "passed"
    )
    outcome: Outcome = "failed" if failed else "incomplete" if unasserted or untested else "passed"
    previous = previous_digest(rundir, gate)
    verdict = Verdict(
        gate=gate.name,
        outcome=outcome,
        key=gate_key(config, gate, previous),
        metrics=result.metrics,
        artifacts=dict(sorted(result.artifacts.items())),
        previous=previous,
        reasons=(*failed, *unasserted, *untested),
        config=config_of(config, gate),
        config_digest=config_digest(config, gate),
        code_digest=code_digest(),
        weights_digest=result.weights_digest,
        preregistration=digest_of(preregister(config)),
        relaxed_thresholds=relaxed_thresholds(config, gate),
        notes=(*result.notes, *stamp_notes(rundir)),
        measured_by=makers_of(rundir, result.artifacts),
        claim=result.claim,
    )
    if outcome == "incomplete" and verdict_status(rundir, config, gate).verdict is not None:
        return verdict  # a session with only some of the tests does not replace a valid verdict
    write_evidence(rundir, rundir.verdict(gate), verdict)
    return verdict


def write_evidence(rundir: RunDir, path: Path, record: Record) -> None:
    """Write a record; an earlier file with other content is kept in `superseded/`."""
    earlier = path.read_bytes() if path.is_file() else None
    if earlier is not None and earlier != json_text(record).encode():
        name = rundir.relative(path.with_suffix(""))
        candidates = (rundir.superseded / f"{name}-{n}{path.suffix}" for n in count())
        write_bytes(next(path for path in candidates if not path.exists()), earlier)
    write_json(path, record)


def _failure_reason(metric: Metric) -> str:
    return metric.failure() if metric.missed else f"the test of {metric.name} failed"


def supersede_outputs(rundir: RunDir, gates: Iterable[GateSpec]) -> None:
    """Move the verdicts and outputs of gates to `superseded/`, so that nothing of a blocked gate looks valid."""
    patterns = [pattern for gate in gates for pattern in (verdict_path(rundir, gate), *gate.outputs)]
    paths = sorted({path for pattern in patterns for path in rundir.root.glob(pattern)})
    if not paths:
        return
    base = rundir.superseded
    number = next(n for n in range(1_000_000) if not (base / f"blocked-{n}").exists())
    for path in paths:
        destination = base / f"blocked-{number}" / rundir.relative(path)
        destination.parent.mkdir(parents=True, exist_ok=True)
        path.replace(destination)


def read_verdict(rundir: RunDir, gate: GateSpec) -> Verdict | None:
    """Return the recorded verdict of a gate, or None if there is no file.

    Raises:
        CtaiError: the file holds no readable verdict.
    """
    name = verdict_path(rundir, gate)
    path = rundir.path(name)
    try:
        return read_record(path, Verdict) if path.is_file() else None
    except CtaiError as error:
        reason = str(error).removeprefix(f"{path} is not a Verdict: ")
        remedy = "restore it, or remove it and run the gates again"
        raise CtaiError(f"{name}: unreadable verdict ({reason}); {remedy}") from error


def previous_digest(rundir: RunDir, gate: GateSpec) -> str | None:
    """Return the digest of the verdict of the gate before; None for the first gate, or if there is no such verdict."""
    before = gates_before(gate.name)
    if not before:
        return None
    verdict = read_verdict(rundir, before[-1])
    return digest_of(verdict) if verdict else None


def verdict_status(rundir: RunDir, config: RunConfig, gate: GateSpec) -> VerdictStatus:
    """Check whether the recorded verdict of a gate is valid: passed, same configuration and code, artifacts unchanged.

    Raises:
        CtaiError: the verdict, or the preregistration, cannot be read.
    """
    verdict = read_verdict(rundir, gate)
    where = verdict_path(rundir, gate)
    if verdict is None:
        return VerdictStatus(None, f"there is no verdict of gate {gate.name} ({where})")
    if not verdict.passed:
        return VerdictStatus(None, f"gate {gate.name} has not passed: {'; '.join(verdict.reasons) or verdict.outcome}")
    if verdict.code_digest != code_digest():
        return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: ctai's code has changed since")
    if verdict.preregistration != digest_of(preregister(config)):
        return VerdictStatus(
            None, f"the verdict of gate {gate.name} is stale: {_preregistration_change(rundir, config, verdict)}"
        )
    if verdict.config_digest != config_digest(config, gate):
        return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: the configuration has changed since")
    if verdict.key != gate_key(config, gate, previous_digest(rundir, gate)):
        return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: a gate before it was decided again")
    for name, digest in verdict.artifacts.items():
        path = rundir.path(name)
        if not path.is_file():
            return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: {name} is missing")
        if sha256_file(path) != digest:
            return VerdictStatus(
                None, f"the verdict of gate {gate.name} is stale: {name} was changed after the gate passed"
            )
    return VerdictStatus(verdict, "")


def _preregistration_change(rundir: RunDir, config: RunConfig, verdict: Verdict) -> str:
    """Return how the preregistration has changed since the verdict, in general terms if the former is not on disk."""
    path = rundir.preregistration
    if path.is_file() and digest_of(before := read_record(path, Preregistration)) == verdict.preregistration:
        return describe_changes(before, preregister(config))
    return "seed, thresholds or test families have changed since"


def missing_prerequisite(rundir: RunDir, config: RunConfig, gate: GateSpec) -> str:
    """Return why a gate may not start: the first gate before it without a valid verdict; empty if it may."""
    for before in gates_before(gate.name):
        problem = verdict_status(rundir, config, before).problem
        if problem:
            return problem
    return ""

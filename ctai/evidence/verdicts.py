"""Verdicts: written bound to what they judged, read back with suspicion.

A verdict stands only while everything it names is unchanged: the configuration, the code, the artifacts' digests and
the verdict before it.
"""

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evidence.preregistration import changes, preregister, relaxed_thresholds
from ctai.evidence.result import GateResult
from ctai.provenance import code_digest
from ctai.records import Metric, Outcome, Preregistration, Record, Verdict
from ctai.registry import GateSpec, gate_named, gates_before
from ctai.rundir import RunDir, digest_of, json_text, read_record, sha256_file, write_bytes, write_json

# What the run has committed itself to before it measures anything, relative to the run directory.
PREREGISTRATION = ("evidence", "preregistration.json")


class VerdictStatus(NamedTuple):
    """A recorded verdict, or why there is none that counts."""

    verdict: Verdict | None
    problem: str


def verdict_path(rundir: RunDir, gate: GateSpec) -> str:
    """Where a gate's verdict lies, relative to the run directory."""
    return f"evidence/verdicts/{gate.number}-{gate.name}.json"


def config_digest(config: RunConfig, gate: GateSpec) -> str:
    """The digest of the configuration that a gate depends on."""
    return digest_of(config_of(config, gate))


def config_of(config: RunConfig, gate: GateSpec) -> dict[str, Any]:
    """The configuration that a gate depends on: its own sections and those of all gates before it."""
    sections = [s for g in (*gates_before(gate.name), gate) for s in g.sections]
    values = config.model_dump(mode="json")
    return {section: values[section] for section in sections}


def gate_key(config: RunConfig, gate: GateSpec, previous: str | None) -> str:
    """The digest of everything a gate depends on but its artifacts: configuration, code, the verdict before it."""
    return key_of(gate, config_digest(config, gate), code_digest(), previous)


def key_of(gate: GateSpec, config: str, code: str, previous: str | None) -> str:
    """A gate's key, from the digests of its parts."""
    return digest_of({"gate": gate.name, "config": config, "code": code, "previous": previous or ""})


def record_verdict(
    rundir: RunDir, config: RunConfig, measured: GateResult, outcomes: Mapping[str, str], reasons: tuple[str, ...] = ()
) -> Verdict:
    """Decide and write a gate's verdict.

    Args:
        outcomes: what became of the test of each metric: "passed", "failed" or anything else pytest says.
        reasons: what else speaks against the gate, such as a failed test that is no metric's.

    Returns:
        The verdict: `passed` only when every metric of the gate was asserted by a test that passed, `incomplete`
        when some were not asserted, `failed` otherwise.
    """
    gate = gate_named(measured.gate)
    # a metric that misses its threshold fails the gate, whatever the test that should assert it says
    missed = tuple(name for name in gate.metric_names if outcomes.get(name) == "failed" or not measured.metric(name).passed)
    failed = tuple(_why(measured.metric(name)) for name in missed) + reasons
    unasserted = tuple(name for name in gate.metric_names if name not in missed and outcomes.get(name) != "passed")
    outcome: Outcome = "failed" if failed else "incomplete" if unasserted else "passed"
    previous = previous_digest(rundir, gate)
    verdict = Verdict(
        gate=gate.name,
        outcome=outcome,
        key=gate_key(config, gate, previous),
        metrics=measured.metrics,
        artifacts=dict(sorted(measured.artifacts.items())),
        previous=previous,
        reasons=failed + tuple(f"{name} was not tested" for name in unasserted),
        config=config_of(config, gate),
        config_digest=config_digest(config, gate),
        code_digest=code_digest(),
        weights_digest=measured.weights_digest,
        preregistration=digest_of(preregister(config)),
        relaxed_thresholds=relaxed_thresholds(config, gate),
        notes=measured.notes,
    )
    if outcome == "incomplete" and verdict_status(rundir, config, gate).verdict is not None:
        return verdict  # a part of the tests, run again, takes nothing from the evidence of the whole
    write_evidence(rundir, rundir.path(verdict_path(rundir, gate)), verdict)
    return verdict


def write_evidence(rundir: RunDir, path: Path, record: Record) -> None:
    """Write a record that an earlier attempt may have written differently: what it said is kept below `superseded/`."""
    earlier = path.read_bytes() if path.is_file() else None
    if earlier is not None and earlier != json_text(record).encode():
        name = rundir.relative(path.with_suffix(""))
        candidates = (rundir.path("superseded", f"{name}-{n}{path.suffix}") for n in count())
        write_bytes(next(free for free in candidates if not free.exists()), earlier)
    write_json(path, record)


def _why(metric: Metric) -> str:
    return f"the test of {metric.name} failed" if metric.passed else metric.failure()


def supersede_outputs(rundir: RunDir, gates: Iterable[GateSpec]) -> None:
    """Move the verdicts and outputs of gates below `superseded/`, so that nothing of a blocked stage seems to count."""
    patterns = [pattern for gate in gates for pattern in (verdict_path(rundir, gate), *gate.outputs)]
    found = sorted({path for pattern in patterns for path in rundir.root.glob(pattern)})
    if not found:
        return
    base = rundir.path("superseded")
    number = next(n for n in range(1_000_000) if not (base / f"blocked-{n}").exists())
    for path in found:
        destination = base / f"blocked-{number}" / rundir.relative(path)
        destination.parent.mkdir(parents=True, exist_ok=True)
        path.replace(destination)


def read_verdict(rundir: RunDir, gate: GateSpec) -> Verdict | None:
    """The recorded verdict of a gate, if there is one.

    Raises:
        CtaiError: the file is there and holds none that can be read.
    """
    name = verdict_path(rundir, gate)
    path = rundir.path(name)
    try:
        return read_record(path, Verdict) if path.is_file() else None
    except CtaiError as error:
        why = str(error).removeprefix(f"{path} is not a Verdict: ")
        remedy = "restore it, or remove it and run the gates again"
        raise CtaiError(f"{name}: holds no verdict that can be read ({why}); {remedy}") from error


def previous_digest(rundir: RunDir, gate: GateSpec) -> str | None:
    """The digest of the verdict before a gate's; None for the first gate."""
    before = gates_before(gate.name)
    if not before:
        return None
    verdict = read_verdict(rundir, before[-1])
    return digest_of(verdict) if verdict else None


def verdict_status(rundir: RunDir, config: RunConfig, gate: GateSpec) -> VerdictStatus:
    """Whether the recorded verdict of a gate still stands: passed, of this configuration and code, artifacts unchanged."""
    verdict = read_verdict(rundir, gate)
    where = verdict_path(rundir, gate)
    if verdict is None:
        return VerdictStatus(None, f"there is no verdict of gate {gate.name} ({where})")
    if not verdict.passed:
        return VerdictStatus(None, f"gate {gate.name} has not passed: {'; '.join(verdict.reasons) or verdict.outcome}")
    if verdict.code_digest != code_digest():
        return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: ctai's code has changed since")
    if verdict.preregistration != digest_of(preregister(config)):
        return VerdictStatus(None, f"the verdict of gate {gate.name} is stale: {_recommitted(rundir, config, verdict)}")
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


def _recommitted(rundir: RunDir, config: RunConfig, verdict: Verdict) -> str:
    """What the run commits itself to now that it did not when the verdict was given, as far as it is on record."""
    path = rundir.path(*PREREGISTRATION)
    if path.is_file() and digest_of(before := read_record(path, Preregistration)) == verdict.preregistration:
        return changes(before, preregister(config))
    return "seed, thresholds or test families have changed since"


def missing_prerequisite(rundir: RunDir, config: RunConfig, gate: GateSpec) -> str:
    """Why a gate may not start: the first gate before it without a standing verdict; empty if it may."""
    for before in gates_before(gate.name):
        problem = verdict_status(rundir, config, before).problem
        if problem:
            return problem
    return ""

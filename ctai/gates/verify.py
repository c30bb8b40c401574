"""Checking the evidence of a run: the chain of verdicts, and the digest of every artifact that they or a stage name.

Metrics are not computed again from the records yet; what this shows is that nothing the evidence speaks of was changed,
removed or swapped, and that no verdict contradicts its own metrics.
"""

from collections.abc import Iterator
from pathlib import Path

from ctai.errors import CtaiError
from ctai.gates import GATES, GateSpec
from ctai.gates.evidence import previous_digest, read_verdict, verdict_path
from ctai.records import StageManifest, Verdict
from ctai.rundir import RunDir, digest_path, read_record


def verify(folder: Path) -> list[str]:
    """Every difference between the evidence of a run directory and what lies there; empty when there is none.

    Raises:
        CtaiError: the folder holds no verdicts at all.
    """
    rundir = RunDir(folder.resolve())
    verdicts = {gate.name: read_verdict(rundir, gate) for gate in GATES}
    if not any(verdicts.values()):
        raise CtaiError(
            f"{folder} holds no verdicts (evidence/verdicts): it is no run directory, or no gate has run in it"
        )
    problems: list[str] = []
    missing: str | None = None
    for gate in GATES:
        verdict = verdicts[gate.name]
        if verdict is None:
            missing = missing or gate.name
            continue
        if missing:
            problems.append(f"{verdict_path(rundir, gate)}: there is no verdict of gate {missing} before it")
        problems += [*_verdict_problems(rundir, gate, verdict)]
        problems += _changed(rundir, verdict.artifacts, f"gate {gate.name} judged it")
    return problems + [problem for manifest in _manifests(rundir) for problem in _stage_problems(rundir, manifest)]


def outcomes(folder: Path) -> dict[str, str]:
    """What each gate decided, by name; `none` where there is no verdict."""
    rundir = RunDir(folder.resolve())
    verdicts = {gate.name: read_verdict(rundir, gate) for gate in GATES}
    return {name: verdict.outcome if verdict else "none" for name, verdict in verdicts.items()}


def _verdict_problems(rundir: RunDir, gate: GateSpec, verdict: Verdict) -> Iterator[str]:
    """A broken chain, or a verdict that says passed while its metrics say otherwise or are not all there."""
    where = verdict_path(rundir, gate)
    if verdict.previous != previous_digest(rundir, gate):
        yield f"{where}: the verdict before it is not the one it was bound to"
    if verdict.passed:
        judged = {metric.name for metric in verdict.metrics}
        yield from (f"{where}: says passed, but {m.failure()}" for m in verdict.metrics if not m.passed)
        yield from (f"{where}: says passed without {name}" for name in gate.metrics if name not in judged)


def _manifests(rundir: RunDir) -> list[Path]:
    found = sorted(rundir.root.rglob("manifest.json"))
    return [path for path in found if not path.is_relative_to(rundir.path("superseded"))]


def _stage_problems(rundir: RunDir, path: Path) -> list[str]:
    try:
        manifest = read_record(path, StageManifest)
    except CtaiError as error:
        return [str(error)]
    return _changed(rundir, manifest.artifacts, f"stage {manifest.stage} made it")


def _changed(rundir: RunDir, artifacts: dict[str, str], why: str) -> list[str]:
    problems = []
    for name, digest in artifacts.items():
        path = rundir.path(name)
        if not path.exists():
            problems.append(f"{name}: missing; {why}")
        elif digest_path(path) != digest:
            problems.append(f"{name}: changed since {why}")
    return problems

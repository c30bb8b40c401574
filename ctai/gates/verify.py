"""Checking the evidence of a finished run: the chain of verdicts, and the digest of every artifact they name.

Metrics are not computed again yet; what this shows is that nothing the verdicts speak of was changed, removed or swapped.
"""

from pathlib import Path

from ctai.errors import CtaiError
from ctai.gates import GATES
from ctai.gates.evidence import previous_digest, read_verdict, verdict_path
from ctai.records import Verdict
from ctai.rundir import RunDir, sha256_file


def verify(folder: Path) -> list[str]:
    """Every difference between the verdicts of a run directory and what lies there; empty when there is none.

    Raises:
        CtaiError: the folder holds no verdicts at all.
    """
    if not (folder / "evidence" / "verdicts").is_dir():
        raise CtaiError(
            f"{folder} holds no verdicts (evidence/verdicts): it is no run directory, or no gate has run in it"
        )
    rundir = RunDir(folder.resolve())
    problems: list[str] = []
    missing_before: str | None = None
    for gate in GATES:
        verdict = read_verdict(rundir, gate)
        if verdict is None:
            missing_before = missing_before or gate.name
            continue
        if missing_before:
            problems.append(f"{verdict_path(rundir, gate)}: there is no verdict of gate {missing_before} before it")
        if verdict.previous != previous_digest(rundir, gate):
            problems.append(f"{verdict_path(rundir, gate)}: the verdict before it is not the one it was bound to")
        problems += _outcome_problems(verdict) + _artifact_problems(rundir, verdict)
    return problems


def _outcome_problems(verdict: Verdict) -> list[str]:
    """A verdict that says passed while one of its own metrics says otherwise."""
    failing = [metric.failure() for metric in verdict.metrics if not metric.passed]
    return [f"gate {verdict.gate} says passed, but {text}" for text in failing] if verdict.passed else []


def _artifact_problems(rundir: RunDir, verdict: Verdict) -> list[str]:
    problems = []
    for name, digest in verdict.artifacts.items():
        path = rundir.path(name)
        if not path.is_file():
            problems.append(f"{name}: missing, gate {verdict.gate} judged it")
        elif sha256_file(path) != digest:
            problems.append(f"{name}: changed since gate {verdict.gate} judged it")
    return problems

"""Preregistration of a run before it starts, with an outside time stamp if the user names a command.

Owns the refusal of a preregistration that comes too late. Does not own its content (`ctai.evidence.preregistration`) or
the stamp (`ctai.evidence.stamp`). Needs no model: the test set follows from the seed.
"""

from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import PreconditionError
from ctai.evidence.preregistration import preregister
from ctai.evidence.stamp import StampCommand, read_stamp, require_same, stamp_preregistration, write_preregistration
from ctai.records import PreregistrationStamp
from ctai.registry import GATES
from ctai.rundir import RunDir, sha256_file


class PreregistrationResult(NamedTuple):
    """A preregistration on disk.

    Attributes:
        path: path of the file.
        sha256: its SHA-256, in hex.
        stamp: record of its stamp; None without one.
    """

    path: Path
    sha256: str
    stamp: PreregistrationStamp | None


def preregister_run(folder: Path, config: RunConfig, command: StampCommand | None = None) -> PreregistrationResult:
    """Write the preregistration of a run, and stamp it unless it has a stamp already.

    Args:
        folder: run directory; created if it is missing.
        config: configuration of the run.
        command: command that makes a stamp; None for no stamp.

    Raises:
        PreconditionError: a gate has measured already, or the folder holds another preregistration.
        CtaiError: the folder cannot be written or is of another version, or the stamp command fails.
    """
    rundir = RunDir.open(folder)
    rundir.check_schema_version()
    with rundir.lock():
        gate = _started_gate(rundir)
        if gate:
            raise PreconditionError(
                f"{rundir.root}: gate {gate} has begun, and a preregistration comes before anything is measured. "
                "Choose another directory"
            )
        preregistration = preregister(config)
        if rundir.preregistration.exists():
            name = rundir.relative(rundir.preregistration)
            require_same(rundir, preregistration, f"{name} is the preregistration of another run")
        write_preregistration(rundir, preregistration)
        stamp = read_stamp(rundir)
        if stamp is None and command is not None:
            stamp = stamp_preregistration(rundir, command)
        return PreregistrationResult(rundir.preregistration, sha256_file(rundir.preregistration), stamp)


def _started_gate(rundir: RunDir) -> str:
    """Return the first gate that measures the test set or data and has left a verdict or outputs; empty if there is none.

    The first gate judges the weights only. A verdict that was replaced counts, too.
    """
    for gate in GATES[1:]:
        verdict = rundir.verdict(gate)
        patterns = (rundir.relative(verdict), *gate.outputs)
        replaced = rundir.superseded.rglob(f"{verdict.stem}*{verdict.suffix}")
        if any(path for pattern in patterns for path in rundir.root.glob(pattern)) or any(replaced):
            return gate.name
    return ""

"""Log of the sessions of a run directory as evidence: makers, outcomes, failed tests, digest of the session manifest.

Owns `evidence/sessions.json`, which holds neither times nor host names. The session manifest, which holds both, only grows;
the log names how much of it existed and the digest of that part, so that later sessions do not break the comparison.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ctai.provenance import Session, manifest_digest
from ctai.records import MadeBy, Phase, SessionEntry, SessionLog, SessionManifest, SessionPhase, StageManifest, Verdict
from ctai.rundir import RunDir, read_record, write_json

# Folders that are no evidence: times and host names; the report on the evidence and opinions on it; replaced files.
UNCOVERED = ("logs", "report", "reviews", "superseded")
_SHOWN_TESTS = 5


def read_session_log(rundir: RunDir) -> SessionLog | None:
    """Return the log of the sessions, or None if there is no file.

    Raises:
        CtaiError: the file holds no readable log.
    """
    path = rundir.session_log
    return read_record(path, SessionLog) if path.is_file() else None


def file_session(rundir: RunDir, session: Session, entry: SessionEntry) -> SessionLog:
    """Append a session to the log, unless it neither made nor failed anything that the log does not have yet.

    A failed test stands until a later session with every test of every gate passes; a session with some of the tests can
    only add to the failed ones.

    Args:
        rundir: the run directory.
        session: writer of the session manifest, after the last note of this session.
        entry: the session.
    """
    log = read_session_log(rundir)
    failed = entry.failed_tests if entry.whole or log is None else {**log.failed_tests, **entry.failed_tests}
    made = any(phase.outcome != "reused" for phase in entry.phases)
    if log is not None and not made and failed == log.failed_tests:
        return log
    manifest = session.manifest
    log = SessionLog(
        sessions=(*(log.sessions if log else ()), entry),
        failed_tests=failed,
        phases=len(manifest.phases),
        notes=len(manifest.notes),
        manifest_digest=manifest_digest(manifest, len(manifest.phases), len(manifest.notes)),
    )
    write_json(rundir.session_log, log)
    return log


def session_entry(
    rundir: RunDir, session: Session, made_by: MadeBy, verdicts: Mapping[str, Verdict], failed_tests: Mapping[str, str],
    *, whole: bool,
) -> SessionEntry:  # fmt: skip
    """Return the entry of a session; paths below the run directory are shown relative to it.

    Args:
        rundir: the run directory.
        session: writer of the session manifest.
        made_by: maker of what the session made.
        verdicts: verdicts that the session decided, by gate.
        failed_tests: failed test -> first line of its message, where no failed verdict accounts for it.
        whole: the session selected every test of every gate.
    """

    def without_root(text: str) -> str:
        return text.replace(f"{rundir.root}/", "").replace(str(rundir.root), ".")

    def phase_of(phase: Phase) -> SessionPhase:
        reasons = tuple(map(without_root, phase.reasons))
        return SessionPhase(name=phase.name, outcome=phase.outcome, reasons=reasons)

    return SessionEntry(
        made_by=made_by,
        whole=whole,
        phases=tuple(map(phase_of, session.own_phases)),
        outcomes={gate: verdict.outcome for gate, verdict in verdicts.items()},
        failed_tests={name: without_root(text) for name, text in failed_tests.items()},
    )


def failed_tests_sentence(failed: Mapping[str, str]) -> str:
    """Return the failed tests of a log as one sentence; empty if there are none."""
    if not failed:
        return ""
    shown = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:_SHOWN_TESTS])
    more = f"; and {len(failed) - _SHOWN_TESTS} more" if len(failed) > _SHOWN_TESTS else ""
    return f"{len(failed)} failed {'test' if len(failed) == 1 else 'tests'}: {shown}{more}"


def session_differences(rundir: RunDir) -> Iterator[str]:
    """Yield failed tests, and where the log of the sessions is missing or differs from the session manifest.

    Raises:
        CtaiError: the log or the session manifest is unreadable.
    """
    name, log = rundir.relative(rundir.session_log), read_session_log(rundir)
    if log is None:
        yield f"{name}: missing; the log of the sessions belongs to the evidence"
        return
    if sentence := failed_tests_sentence(log.failed_tests):
        yield f"{name}: {sentence}"
    if not log.sessions:
        yield f"{name}: names no session"
    if not rundir.session_manifest.is_file():
        return
    manifest = read_record(rundir.session_manifest, SessionManifest)
    where = rundir.relative(rundir.session_manifest)
    if len(manifest.phases) < log.phases or len(manifest.notes) < log.notes:
        yield f"{where}: lacks phases or notes that {name} covers"
    elif manifest_digest(manifest, log.phases, log.notes) != log.manifest_digest:
        yield f"{where}: was changed; {name} has another digest of it"


def missing_logs(rundir: RunDir) -> str:
    """Return a remark if the session manifest is missing, which is the case in an exported run; empty if it is there."""
    if rundir.session_manifest.is_file():
        return ""
    where, log = rundir.relative(rundir.session_manifest), rundir.relative(rundir.session_log)
    return f"{where} is missing: times, hosts and parameters of the sessions cannot be checked, only what {log} says"


def makers_of(rundir: RunDir, artifacts: Mapping[str, str]) -> tuple[MadeBy, ...]:
    """Return the makers of artifacts, each once: those of the stages that made them, in the order of their manifests.

    Args:
        rundir: the run directory.
        artifacts: SHA-256 by path, relative to the run directory.

    Raises:
        CtaiError: a manifest is unreadable.
    """
    manifests = (read_record(path, StageManifest) for path in stage_manifests(rundir))
    made = (manifest.made_by for manifest in manifests if manifest.artifacts.items() & artifacts.items())
    return tuple({maker.model_dump_json(): maker for maker in made if maker is not None}.values())


def stage_manifests(rundir: RunDir) -> list[Path]:
    """Return the paths of all stage manifests that count."""
    paths = sorted(rundir.root.rglob("manifest.json"))
    return [path for path in paths if rundir.relative(path).split("/")[0] not in UNCOVERED]

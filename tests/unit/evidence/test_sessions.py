"""Log of the sessions: what is appended, how long a failed test stands, and the comparison with the session manifest."""

from typing import Any

import pytest

from ctai.config import RunConfig
from ctai.evidence.sessions import (
    failed_tests_sentence,
    file_session,
    makers_of,
    missing_logs,
    read_session_log,
    session_differences,
    session_entry,
)
from ctai.provenance import DeviceInfo, Session, collect_environment
from ctai.records import SessionLog, SessionManifest
from ctai.rundir import RunDir, read_record, sha256_file, write_json, write_text
from ctai.rundir.stage import Stage
from tests.support.context import MADE_BY

pytestmark = pytest.mark.unit
FAILED = {"tests/gates/test_more.py::test_more": "assert False"}


@pytest.fixture
def rundir(tmp_path) -> RunDir:
    return RunDir.open(tmp_path / "run")


def session(rundir: RunDir, *outcomes: str) -> Session:
    """A session with a phase of each outcome."""
    made = Session(rundir, RunConfig(), collect_environment(DeviceInfo("cpu")), "run")
    for outcome in outcomes:
        with made.phase("pilot", {}) as phase:
            phase.outcome = outcome
            phase.reasons.append(f"{rundir.root}/data/x.jsonl is missing")
    return made


def filed(rundir: RunDir, *outcomes: str, failed: dict[str, str] | None = None, whole: bool = True) -> SessionLog:
    made = session(rundir, *outcomes)
    return file_session(rundir, made, session_entry(rundir, made, MADE_BY, {}, failed or {}, whole=whole))


def test_a_session_that_made_something_is_appended_with_its_own_phases_only(rundir):
    filed(rundir, "made")
    log = filed(rundir, "reused", "made")
    assert [[phase.outcome for phase in entry.phases] for entry in log.sessions] == [["made"], ["reused", "made"]]
    assert log.sessions[0].phases[0].reasons == ("data/x.jsonl is missing",)
    assert read_session_log(rundir) == log


def test_a_session_that_only_reused_leaves_the_log_as_it_is(rundir):
    filed(rundir, "made")
    before = sha256_file(rundir.session_log)
    filed(rundir, "reused")
    assert sha256_file(rundir.session_log) == before
    assert list(session_differences(rundir)) == []


def test_neither_times_nor_hosts_nor_folders_are_in_it(rundir):
    filed(rundir, "made", failed={"t": f"no {rundir.root}/x"})
    manifest, text = read_record(rundir.session_manifest, SessionManifest), rundir.session_log.read_text()
    assert str(rundir.root) not in text
    assert manifest.session_id not in text
    assert manifest.started.isoformat()[:13] not in text
    assert '"no x"' in text


def test_a_failed_test_stands_until_a_whole_session_passes(rundir):
    filed(rundir, "made", failed=FAILED)
    assert filed(rundir, "made", whole=False).failed_tests == FAILED
    assert filed(rundir, "reused", failed={"other": "no"}, whole=False).failed_tests == {**FAILED, "other": "no"}
    (difference,) = session_differences(rundir)
    assert difference == f"evidence/sessions.json: 2 failed tests: {next(iter(FAILED))}: assert False; other: no"
    assert filed(rundir, "reused").failed_tests == {}
    assert list(session_differences(rundir)) == []


def test_many_failed_tests_are_counted_and_not_all_listed():
    sentence = failed_tests_sentence({f"t{number}": "no" for number in range(8)})
    assert sentence == "8 failed tests: t0: no; t1: no; t2: no; t3: no; t4: no; and 3 more"
    assert failed_tests_sentence({}) == ""


@pytest.mark.parametrize("change", ["git_commit", "host", "phase", "note"])
def test_a_change_of_the_session_manifest_is_found(rundir, change):
    filed(rundir, "made")
    filed(rundir, "reused")  # which the log does not cover
    manifest = read_record(rundir.session_manifest, SessionManifest)
    updates: dict[str, dict[str, Any]] = {
        "git_commit": {"environment": manifest.environment.model_copy(update={"git_commit": "0" * 40})},
        "host": {"host": "elsewhere"},
        "phase": {"phases": (manifest.phases[0].model_copy(update={"outcome": "reused"}), *manifest.phases[1:])},
        "note": {"notes": ()} if not manifest.notes else {"notes": ("edited", *manifest.notes[1:])},
    }
    changed = manifest.model_copy(update=updates[change])
    write_json(rundir.session_manifest, changed)
    found = list(session_differences(rundir))
    covers_note = read_record(rundir.session_log, SessionLog).notes > 0
    assert bool(found) == (change != "note" or covers_note)
    assert all(text.startswith("logs/session_manifest.json: was changed") for text in found)


def test_a_shortened_session_manifest_is_found(rundir):
    filed(rundir, "made")
    manifest = read_record(rundir.session_manifest, SessionManifest)
    write_json(rundir.session_manifest, manifest.model_copy(update={"phases": ()}))
    (difference,) = session_differences(rundir)
    assert difference == "logs/session_manifest.json: lacks phases or notes that evidence/sessions.json covers"


def test_missing_logs_are_said_and_a_missing_log_of_sessions_is_a_difference(rundir):
    filed(rundir, "made")
    assert missing_logs(rundir) == ""
    rundir.session_manifest.unlink()
    assert list(session_differences(rundir)) == []
    assert missing_logs(rundir).startswith("logs/session_manifest.json is missing")
    rundir.session_log.unlink()
    (difference,) = session_differences(rundir)
    assert difference == "evidence/sessions.json: missing; the log of the sessions belongs to the evidence"


def test_the_makers_of_artifacts_are_those_of_the_stages_that_made_them(rundir):
    other = MADE_BY.model_copy(update={"device": "cuda: H200"})
    for name, maker in (("a", MADE_BY), ("b", other), ("c", other)):
        path = rundir.path("artifacts", name, "x.jsonl")
        write_text(path, name)
        Stage(rundir, name, path.parent, {}, {}, maker).finish([path], "run")
    artifacts = {f"artifacts/{name}/x.jsonl": sha256_file(rundir.path("artifacts", name, "x.jsonl")) for name in "abc"}
    assert makers_of(rundir, artifacts) == (MADE_BY, other)
    assert makers_of(rundir, {"artifacts/a/x.jsonl": artifacts["artifacts/a/x.jsonl"]}) == (MADE_BY,)
    assert makers_of(rundir, {"artifacts/a/x.jsonl": "0" * 64}) == ()


def test_the_maker_is_no_part_of_the_key_of_a_stage(rundir):
    path = rundir.path("artifacts", "a", "x.jsonl")
    write_text(path, "a")
    Stage(rundir, "a", path.parent, {}, {}, MADE_BY).finish([path], "run")
    elsewhere = Stage(rundir, "a", path.parent, {}, {}, MADE_BY.model_copy(update={"git_commit": "f"}))
    manifest = elsewhere.complete()
    assert manifest is not None
    assert manifest.made_by == MADE_BY

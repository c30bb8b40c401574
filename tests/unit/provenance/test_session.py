"""Session manifest: phases, notes and changes between sessions."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctai import provenance
from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.records import SessionManifest
from ctai.rundir import RunDir, read_record

pytestmark = pytest.mark.unit


@pytest.fixture
def rundir(tmp_path: Path) -> RunDir:
    return RunDir.open(tmp_path / "run")


def session(rundir: RunDir, *settings: str) -> provenance.Session:
    return provenance.Session(
        rundir,
        RunConfig.load(settings=settings),
        provenance.collect_environment(provenance.DeviceInfo("cpu")),
        "0123456789ab",
    )


def on_disk(rundir: RunDir) -> SessionManifest:
    return read_record(rundir.logs / "session_manifest.json", SessionManifest)


def test_manifest_says_what_was_planned_and_allowed(rundir: RunDir) -> None:
    session(rundir, "limits.budget_usd=12", "limits.pilot=34")
    manifest = on_disk(rundir)
    assert manifest.config["pilot"]["count"] == 120
    assert manifest.budgets == {"cost_per_hour_usd": 0, "budget_usd": 12}
    assert manifest.timeouts["pilot"] == 34
    assert "minimum_free_gb" not in manifest.timeouts
    assert "data/heldout.jsonl" in manifest.planned
    assert (manifest.run_id, manifest.model) == ("0123456789ab", "embedded")


def test_a_phase_is_on_disk_while_it_runs_and_after(rundir: RunDir) -> None:
    log = session(rundir)
    with log.phase("pilot", {"count": 3}) as phase:
        running = on_disk(rundir).phases[-1]
        phase.parameters["resolved"] = 4
        phase.artifacts["artifacts/pilot/dataset.jsonl"] = "abc"
    ended = on_disk(rundir).phases[-1]
    assert (running.outcome, running.ended, running.parameters) == ("running", None, {"count": 3})
    assert (ended.outcome, ended.parameters) == ("completed", {"count": 3, "resolved": 4})
    assert ended.artifacts == {"artifacts/pilot/dataset.jsonl": "abc"}
    assert ended.commands
    assert ended.ended is not None
    assert ended.ended >= ended.started == running.started
    log.note("a note")
    assert on_disk(rundir).notes == ("a note",)
    assert on_disk(rundir).phases == (ended,)


def test_outcome_and_reasons_can_be_set(rundir: RunDir) -> None:
    with session(rundir).phase("gate", {}) as phase:
        phase.outcome = "blocked"
        phase.reasons.append("runaway_rate 0.209 >= 0.05")
    assert on_disk(rundir).phases[0].outcome == "blocked"
    assert on_disk(rundir).phases[0].reasons == ("runaway_rate 0.209 >= 0.05",)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(CtaiError("no disk"), "failed"), (ValueError("bug"), "failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_an_exception_is_recorded_and_goes_on(rundir: RunDir, error: BaseException, outcome: str) -> None:
    with pytest.raises(type(error)), session(rundir).phase("pilot", {}):
        raise error
    (phase,) = on_disk(rundir).phases
    assert (phase.outcome, phase.reasons) == (outcome, (f"{type(error).__name__}: {error}",))


def test_phases_may_nest(rundir: RunDir) -> None:
    log = session(rundir)
    with log.phase("outer", {}), log.phase("inner", {}):
        assert [phase.outcome for phase in on_disk(rundir).phases] == ["running", "running"]
    assert [(phase.name, phase.outcome) for phase in on_disk(rundir).phases] == [
        ("outer", "completed"),
        ("inner", "completed"),
    ]


def test_a_later_session_appends_and_says_what_changed(rundir: RunDir) -> None:
    first = session(rundir)
    with first.phase("one", {}):
        pass
    second = session(rundir, "pilot.count=130")
    with second.phase("two", {}):
        pass
    manifest = on_disk(rundir)
    assert manifest.session_id == first.session_id != second.session_id
    assert [phase.name for phase in manifest.phases] == ["one", "two"]
    assert second.session_id in manifest.notes[0]
    assert manifest.notes[0].endswith("changed: config.pilot.count: 120 -> 130")
    session(rundir)
    assert on_disk(rundir).notes[1].endswith("changed: nothing")


KILLED = """
import os, signal, sys
from ctai import provenance
from ctai.config import RunConfig
from ctai.rundir import RunDir
environment = provenance.collect_environment(provenance.DeviceInfo("cpu"))
session = provenance.Session(RunDir.open(sys.argv[1]), RunConfig.load(), environment, "id")
with session.phase("training", {}):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_valid_manifest_whose_phase_is_closed_later(rundir: RunDir) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(rundir.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert on_disk(rundir).phases[0].outcome == "running"
    session(rundir)
    (phase,) = on_disk(rundir).phases
    assert (phase.outcome, phase.reasons) == ("interrupted", ("the process ended before the phase did",))


def test_a_damaged_manifest_is_refused_and_not_overwritten(rundir: RunDir) -> None:
    session(rundir)
    path = rundir.logs / "session_manifest.json"
    damaged = json.dumps(json.loads(path.read_text()) | {"phases": "none"})
    path.write_text(damaged)
    with pytest.raises(CtaiError, match=r"session_manifest\.json is not a SessionManifest: phases"):
        session(rundir)
    assert path.read_text() == damaged

"""Where results come from: environment, seeds, ids and the session manifest."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctai import provenance
from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.progress import Progress, SilentProgress
from ctai.provenance import environment as environment_module
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


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "code.py").write_text("1")
    (folder / ".gitignore").write_text("venv/\n")
    git(folder, "init", "--initial-branch=trunk")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


@pytest.fixture(autouse=True)
def _forget_git_state() -> None:
    provenance.git_state.cache_clear()


@pytest.mark.fault(24, plant="a clone with changes that no commit holds", check="provenance")
def test_git_state_of_a_clean_and_a_dirty_clone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(clone / "nowhere"))  # as inside a hook of another repository
    state = provenance.git_state(clone / "package")
    monkeypatch.delenv("GIT_DIR")
    assert state == (git(clone, "rev-parse", "HEAD"), "trunk", False)
    (clone / "package" / "code.py").write_text("2")
    provenance.git_state.cache_clear()
    assert provenance.git_state(clone / "package").dirty


def test_git_state_of_a_detached_head(clone: Path) -> None:
    git(clone, "checkout", "--detach")
    assert provenance.git_state(clone).branch == "detached"


@pytest.mark.fault(24, plant="code outside any clone", check="provenance")
def test_git_state_outside_a_clone_and_of_an_ignored_folder_is_unknown(tmp_path: Path, clone: Path) -> None:
    installed = clone / "venv" / "package"
    installed.mkdir(parents=True)
    for folder in (tmp_path, installed):
        assert provenance.git_state(folder) == ("unknown", "unknown", True)


def test_loader_version_names_the_commit_or_else_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    state = provenance.GitState("a" * 40, "main", dirty=True)
    monkeypatch.setattr(environment_module, "git_state", lambda: state)
    assert provenance.loader_version().endswith("+aaaaaaaaaaaa.dirty")
    state = provenance.GitState("unknown", "unknown", dirty=True)
    assert provenance.loader_version().endswith(f"+code.{provenance.code_digest()[:12]}")


def test_code_digest_changes_with_code_and_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name, text in [("a.py", "1"), ("a.py", "2"), ("profiles/p.toml", "x"), ("profiles/p.toml", "y")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(environment_module, "_PACKAGE", tmp_path)
        provenance.code_digest.cache_clear()
        digests.add(provenance.code_digest())
    provenance.code_digest.cache_clear()
    assert len(digests) == 4


def test_environment_has_versions_and_no_host_name() -> None:
    environment = provenance.collect_environment(provenance.DeviceInfo("cpu"))
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert re.match(r"\d+\.\d+", environment.torch)
    assert re.match(r"\d+\.\d+", environment.packages["pydantic"])
    assert (environment.device, environment.cuda, environment.device_memory_bytes) == ("cpu", None, None)
    assert "host" not in environment.model_dump()


def test_provenance_does_not_import_torch() -> None:
    code = "import sys; from ctai.provenance import DeviceInfo, collect_environment as e; e(DeviceInfo('cpu')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_seeds_are_fixed_spread_and_sensitive_to_every_part() -> None:
    # pinned (SHA-256 of `[0,"pilot",1]`): another value would break the reproduction of every old run
    assert provenance.derive_seed(0, "pilot", 1) == 2750529742236583494
    parts = [("a", 1), ("b", 1), ("a", 2), ("a", "1"), ("a1",), ("a", 1, 1)]
    assert len({provenance.derive_seed(seed, *part) for seed in (0, 1) for part in parts}) == 12
    many = [provenance.derive_seed(0, "x", index) for index in range(1000)]
    assert all(0 <= seed < 2**63 for seed in many)
    assert 400 < sum(seed >= 2**62 for seed in many) < 600


def test_run_id_is_a_function_of_the_digests() -> None:
    one = provenance.run_id("a", "b")
    assert re.fullmatch("[0-9a-f]{12}", one)
    assert one == provenance.run_id("a", "b")
    assert len({one, provenance.run_id("b", "a"), provenance.run_id("ab")}) == 3


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
session = provenance.Session(RunDir.open(sys.argv[1]), RunConfig.load(), provenance.collect_environment(provenance.DeviceInfo("cpu")), "id")
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


def test_silent_progress_is_a_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.start("pilot", 2)
    progress.advance(note="half")
    progress.finish()
    assert capsys.readouterr() == ("", "")

"""End of a gates run on a signal or a failed write: one sentence, and an exit status that is not 0.

Runs in separate processes, of four small gates of which the last interrupts the run or breaks its disk.
"""

import subprocess
from pathlib import Path

import pytest

from ctai.records import SessionManifest
from ctai.rundir import read_record, sha256_file
from tests.support.disks import mounted
from tests.unit.pytest_plugin.test_hooks import gates_project, run_pytest

ARGUMENTS = ("-m", "gates", "--run-dir", "run", "--set", "limits.minimum_free_gb=0")

LAST_GATE = """
@pytest.fixture(scope="session")
def pilot(gate_run):
    gate_run.require_passed("headroom")
    with gate_run.phase("pilot"):
        happen(gate_run.rundir)
    return measured(gate_run, "pilot", 0.0)

def happen(rundir):
    import os, signal, subprocess, time
"""


def project(folder: Path, happens: str) -> Path:
    """The small gates, where `happens` (lines of Python that know `rundir`) happens if the variable HAPPENS is set."""
    made = gates_project(folder, 0.01)
    conftest = made / "conftest.py"
    lines = "".join(f"        {line}\n" for line in happens.strip().splitlines())
    conftest.write_text(f"{conftest.read_text()}{LAST_GATE}    if 'HAPPENS' in os.environ:\n{lines}")
    return made


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str, happens: bool) -> subprocess.CompletedProcess[str]:
    if happens:
        monkeypatch.setenv("HAPPENS", "1")
    else:
        monkeypatch.delenv("HAPPENS", raising=False)
    return run_pytest(folder, *ARGUMENTS, *more)


def evidence(folder: Path) -> dict[str, str]:
    root = folder / "run" / "evidence"
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in root.rglob("*") if path.is_file()}


def assert_one_sentence(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert done.returncode not in (0, pytest.ExitCode.INTERNAL_ERROR)
    output = done.stdout + done.stderr
    assert sentence in output
    assert "Traceback (most recent call last)" not in output
    assert "INTERNALERROR" not in output


@pytest.mark.unit
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_run_that_is_asked_to_end_says_how_to_go_on(tmp_path, monkeypatch, name):
    # a shell has its background jobs ignore SIGINT, and whoever they start
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    made = project(tmp_path, f"{heard}\nos.kill(os.getpid(), signal.{name})\ntime.sleep(60)")
    assert run(made, monkeypatch, happens=False).returncode == 0
    before = evidence(made)
    done = run(made, monkeypatch, happens=True)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert_one_sentence(done, "\ninterrupted: rerun the same command to resume after the last finished batch\n")
    manifest = read_record(made / "run" / "logs" / "session_manifest.json", SessionManifest)
    assert manifest.phases[-1].outcome == "interrupted"
    assert evidence(made) == before


@pytest.mark.crash
@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (
            # not the disk itself, in which the lock is open
            'subprocess.run(["mount", "--bind", rundir.root, rundir.root], check=True)\n'
            'subprocess.run(["mount", "-o", "remount,ro,bind", rundir.root], check=True)',
            "Read-only file system",
        ),
        (
            'with (rundir.root / "filler").open("wb") as filler:\n'
            "    try:\n"
            "        while True: filler.write(bytes(4096)); filler.flush()\n"
            "    except OSError: pass",
            "No space left on device",
        ),
    ],
    ids=["read-only", "full"],
)
def test_a_disk_that_fails_in_the_last_gate(tmp_path, monkeypatch, happens, sentence):
    undisturbed = project(tmp_path / "undisturbed", "pass")
    assert run(undisturbed, monkeypatch, happens=False).returncode == 0
    made = project(tmp_path / "made", happens)
    with mounted(made / "run", "size=4m") as disk:
        assert_one_sentence(run(made, monkeypatch, happens=True), sentence)
        subprocess.run(["mount", "-o", "remount,rw,bind", disk], check=True)
        (disk / "filler").unlink(missing_ok=True)
        done = run(made, monkeypatch, happens=False)
        assert done.returncode == 0, done.stdout + done.stderr
        expected, found = evidence(undisturbed), evidence(made)
        verdicts = [name for name in expected if name.startswith("verdicts/")]
        assert len(verdicts) == 4
        assert {name: found[name] for name in verdicts} == {name: expected[name] for name in verdicts}


@pytest.mark.parametrize(
    "in_the_way",
    [
        pytest.param("mine.xml", marks=pytest.mark.unit),
        pytest.param("run/report/index.html", marks=pytest.mark.unit),
        pytest.param("run/evidence/attestations.intoto.jsonl", marks=pytest.mark.crash),
        pytest.param("run/logs/session_manifest.json", marks=pytest.mark.crash),
        pytest.param("run/evidence/verdicts/4-pilot.json", marks=pytest.mark.crash),
    ],
)
def test_a_file_that_cannot_be_written_at_the_end(tmp_path, monkeypatch, in_the_way):
    put_there = f'f = rundir.root.parent / "{in_the_way}"\nf.unlink(missing_ok=True)\n(f / "x").mkdir(parents=True)'
    done = run(project(tmp_path, put_there), monkeypatch, "--junitxml", "mine.xml", happens=True)
    assert_one_sentence(done, f"{tmp_path / in_the_way}: Is a directory")

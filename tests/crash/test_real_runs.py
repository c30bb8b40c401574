"""Gates runs on the embedded model: the lock between two of them, and a disk that is too small."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctai.records import SessionManifest
from ctai.rundir import read_record
from tests.crash.runs import environment, gates
from tests.crash.server import CHECKOUT
from tests.crash.test_kills import files_of
from tests.support.disks import mounted, remount

pytestmark = pytest.mark.crash
_PATIENCE_SECONDS = 600


def command(root: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *gates(root, "tests/gates", *more)]


def start(root: Path, output: Path) -> "subprocess.Popen[bytes]":
    """Start a run in the background and wait until it holds the lock and a phase is running."""
    with output.open("wb") as log:
        run = subprocess.Popen(command(root), cwd=CHECKOUT, env=environment(), stdout=log, stderr=log)
    sessions = len(begun(root))
    until = time.monotonic() + _PATIENCE_SECONDS
    while len(begun(root)) == sessions or "running" not in begun(root):
        assert run.poll() is None, output.read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    return run


def begun(root: Path) -> list[str]:
    """Return the outcomes of all phases of all sessions."""
    path = root / "logs" / "session_manifest.json"
    return [phase.outcome for phase in read_record(path, SessionManifest).phases] if path.exists() else []


def run(root: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(root, *more), cwd=CHECKOUT, env=environment(), capture_output=True, text=True)


def test_two_runs_on_one_directory_and_a_third_after_the_death_of_the_first(tmp_path):
    root = tmp_path / "run"
    first = start(root, tmp_path / "first")
    try:
        second = run(root)
        assert second.returncode == pytest.ExitCode.USAGE_ERROR
        said = [line for line in (second.stdout + second.stderr).splitlines() if line.strip()]
        assert said == [f"ERROR: {root} is in use by another process. Wait until it ends or choose another --run-dir"]
    finally:
        first.kill()
        first.wait()
    third = start(root, tmp_path / "third")
    third.terminate()
    assert third.wait(_PATIENCE_SECONDS) == pytest.ExitCode.INTERRUPTED
    assert (
        "interrupted: rerun the same command to resume after the last finished batch"
        in (tmp_path / "third").read_text()
    )
    assert begun(root).count("interrupted") == 2
    assert "running" not in begun(root)


def test_a_real_gate_on_a_disk_that_is_too_small(tmp_path):
    arguments = ("-k", "contamination", "--set", "limits.minimum_free_gb=0")
    assert run(tmp_path / "whole", *arguments).returncode == 0
    with mounted(tmp_path / "disk", "size=64k") as disk:
        done = run(disk, *arguments)
        assert done.returncode == pytest.ExitCode.TESTS_FAILED
        output = done.stdout + done.stderr
        assert re.search(r"cannot write \S+/model_check\.json: No space left on device", output)
        assert "Traceback" not in output
        remount(disk, "size=64m")
        done = run(disk, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        # a session over a part of the gates writes a separate report, also the one that failed
        expected, found = files_of(tmp_path / "whole"), files_of(disk)
        reports = ("evidence/gates", "evidence/attestations", "evidence/sessions")
        kept = {name: digest for name, digest in expected.items() if not name.startswith(reports)}
        assert "evidence/contamination/model_check.json" in kept
        assert {name: found[name] for name in kept} == kept

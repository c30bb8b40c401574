"""Real gates runs, on the embedded model: the lock between two of them, and a disk that is too small."""

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
    """A run in the background, once it holds the lock and is at work."""
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
    """The outcomes of all phases that any session has begun."""
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
        assert said == [f"ERROR: another process is at work in {root}; wait until it ends or choose another --run-dir"]
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
        assert re.search(r"cannot write \S+/examination\.json: No space left on device", output)
        assert "Traceback" not in output
        remount(disk, "size=64m")
        done = run(disk, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        # of a part of the gates each session files a report of its own, also the one that failed
        expected, found = files_of(tmp_path / "whole"), files_of(disk)
        reports = ("evidence/gates", "evidence/attestations")
        kept = {name: digest for name, digest in expected.items() if not name.startswith(reports)}
        assert "evidence/contamination/model_check.json" in kept
        assert {name: found[name] for name in kept} == kept

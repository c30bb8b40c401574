"""A gates run that is killed at more than fifty moments ends in the same bytes as an uninterrupted run."""

import json
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from ctai.evidence.attestation import BUNDLE
from ctai.provenance import git_state
from ctai.records import SessionManifest
from ctai.rundir import read_record, sha256_bytes, sha256_file
from tests.crash.crash import Point, read_trace
from tests.crash.plan import KILLS, SEED, choose, is_work, stage_after
from tests.crash.runs import Server, environment, gates
from tests.crash.server import CHECKOUT
from tests.crash.stages import stage_of

pytestmark = pytest.mark.crash

# Frequent checkpoints, so that the run makes progress between kills; only the gates are collected.
ARGUMENTS = ("--set", "limits.checkpoint_seconds=2", "tests/gates")
RANDOM_SHARE, LONGEST_WAIT = 0.5, 3.0
SIGKILLED = -9
WITH_TIMES = ("logs/", "report/")
SESSION_LOG = "evidence/sessions.json"
RECORD = "CTAI_CRASH_RECORD"


class Kill(NamedTuple):
    """Kill of the run at a named or a random moment."""

    stage: str
    where: str


class RandomMoment:
    """Predicate that becomes true some seconds after a run has finished a new artifact."""

    def __init__(self, trace: Path, rng: random.Random) -> None:
        self._trace, self._wait = trace, rng.uniform(0.0, LONGEST_WAIT)
        self._at: float | None = None

    def __call__(self) -> bool:
        if self._at is None and any(point.moment == "durable" and is_work(point) for point in read_trace(self._trace)):
            self._at = time.monotonic() + self._wait
        return self._at is not None and time.monotonic() >= self._at


def files_of(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run directory that must be the same in every run, by name.

    The log of the sessions says which of them made something; in the attestations its digest does not count.
    """
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    digests = {name: sha256_file(path) for name, path in sorted(files.items()) if not name.startswith(WITH_TIMES)}
    log = digests.pop(SESSION_LOG, "")
    if BUNDLE in digests and log:
        digests[BUNDLE] = sha256_bytes(files[BUNDLE].read_bytes().replace(log.encode(), b""))
    return digests


def assert_nothing_torn(root: Path, whole: dict[str, str]) -> None:
    """Assert that every file is that of the uninterrupted run; temporary files do not count."""
    differing = [
        name
        for name, digest in files_of(root).items()
        if whole.get(name, digest) != digest and not name.endswith(".tmp")
    ]
    assert differing == []


def assert_manifest_valid(root: Path) -> None:
    """Assert that the session manifest can be read and that no phase but the last one is running."""
    path = root / "logs" / "session_manifest.json"
    if path.exists():
        outcomes = [phase.outcome for phase in read_record(path, SessionManifest).phases]
        assert "running" not in outcomes[:-1]


def kill_repeatedly(
    server: Server, root: Path, folder: Path, targets: list[Point], trace: list[Point], whole: dict[str, str]
):
    """Kill the run at every target, and at random moments in between; return the kills."""
    rng, kills, left = random.Random(SEED), list[Kill](), list(targets)
    while left:
        at_random = RandomMoment(folder / "trace", rng) if rng.random() < RANDOM_SHARE else None
        status = server.run(gates(root, *ARGUMENTS), root, folder, left[0], at_random)
        assert status == SIGKILLED, f"the run ended with {status} before {left[0]}; see {folder / 'log'}"
        done = read_trace(folder / "trace")
        if is_named(left[0], done):
            kills.append(Kill(stage_of(left[0].name), left[0].moment))
            left.pop(0)
        else:
            kills.append(Kill(stage_after(trace, done), "random moment"))
            if (
                Point("renamed", left[0].name) in done
            ):  # in the very middle: the file is whole, and is not written again
                left.pop(0)
        assert_manifest_valid(root)
        assert_nothing_torn(root, whole)
    return kills


def is_named(target: Point, done: list[Point]) -> bool:
    """Return whether a run died at its target and not at a random moment: the last recorded point tells."""
    seen = {"torn": "written", "unrenamed": "renamed"}.get(target.moment, target.moment)
    return bool(done) and done[-1] == Point(seen, target.name)


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory: pytest.TempPathFactory):
    """Uninterrupted run, killed run, the kills, and seconds."""
    folder = tmp_path_factory.mktemp("crash")
    uninterrupted, killed = folder / "uninterrupted", folder / "killed"
    started = time.monotonic()
    with Server() as server:
        trace_folder = folder / "whole"
        trace_folder.mkdir()
        assert server.run(gates(uninterrupted, *ARGUMENTS), uninterrupted, trace_folder, None) == 0
        uninterrupted_seconds = time.monotonic() - started
        whole, trace = files_of(uninterrupted), read_trace(trace_folder / "trace")
        everything = {path.relative_to(uninterrupted).as_posix() for path in uninterrupted.rglob("*") if path.is_file()}
        kills = kill_repeatedly(server, killed, folder, choose(trace, everything), trace, whole)
    # the last session is a separate process without a fork
    command = [sys.executable, "-m", "pytest", *gates(killed, *ARGUMENTS)]
    last = subprocess.run(command, cwd=CHECKOUT, env=environment(), capture_output=True, text=True)
    assert last.returncode == 0, last.stdout + last.stderr
    return uninterrupted, killed, kills, {"uninterrupted": uninterrupted_seconds, "all": time.monotonic() - started}


def test_every_stage_was_killed_and_more_than_fifty_times(killed_run):
    _, _, kills, _ = killed_run
    assert len(kills) >= 50
    hit = Counter(kill.stage for kill in kills)
    assert {stage: hit[stage] >= 1 for stage in KILLS} == dict.fromkeys(KILLS, True)
    assert sum(kill.where == "random moment" for kill in kills) >= 5


def test_the_killed_run_equals_the_uninterrupted_one_byte_for_byte(killed_run):
    uninterrupted, killed, _, _ = killed_run
    expected, found = files_of(uninterrupted), files_of(killed)
    assert found.keys() == expected.keys()
    assert {name for name in expected if found[name] != expected[name]} == set()


def test_the_session_manifest_records_the_interruptions(killed_run):
    _, killed, kills, _ = killed_run
    manifest = read_record(killed / "logs" / "session_manifest.json", SessionManifest)
    outcomes = Counter(phase.outcome for phase in manifest.phases)
    assert outcomes["running"] == 0
    assert 0 < outcomes["interrupted"] <= len(kills)
    # a session that is killed before it writes the manifest leaves no phase
    assert len(kills) - KILLS["log"] <= sum("began" in note for note in manifest.notes) <= len(kills)


def test_the_killed_run_can_be_verified(killed_run):
    _, killed, _, _ = killed_run
    command = [
        sys.executable,
        "-c",
        "import sys; from ctai.cli import main; sys.exit(main())",
        "verify",
        str(killed),
    ]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_record_of_the_kills_is_written(killed_run):
    """`CTAI_CRASH_RECORD` names the file from which `scripts.crash_table` generates docs/crash_tests.md."""
    uninterrupted, _, kills, seconds = killed_run
    record = {
        "commit": git_state().commit,
        "dirty": git_state().dirty,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one thread",
        "python": platform.python_version(),
        "arguments": list(ARGUMENTS),
        "files": len(files_of(uninterrupted)),
        "kills": [list(kill) for kill in kills],
        "seconds": seconds,
    }
    text = json.dumps(record, indent=1)
    if RECORD in os.environ:
        Path(os.environ[RECORD]).write_text(text + "\n")
    assert len(json.loads(text)["kills"]) == len(kills)

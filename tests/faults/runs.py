"""Copies of the finished run for fault injection, and the results of gates sessions in them."""

import hashlib
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ctai.evidence.verdicts import read_verdict
from ctai.records import Verdict
from ctai.registry import gate_named, gates_after
from ctai.rundir import RunDir

ROOT = Path(__file__).parents[2]
# Expensive outputs; every session writes verdicts and reports again.
WORK = ("artifacts", "data", "checkpoints", "results")


class Done(NamedTuple):
    """Result of a gates session: exit status, output, and the messages of failed and skipped tests by file and name."""

    code: int
    output: str
    failed: Mapping[tuple[str, str], str]
    skipped: Mapping[tuple[str, str], str]


class RunCopy:
    """Copy of the finished run that a test may damage.

    Attributes:
        root: folder of the copy.
        rundir: its run directory.
    """

    def __init__(self, finished: Path, root: Path) -> None:
        shutil.copytree(finished, root)
        self.root = root
        self.rundir = RunDir(root)
        self.before = digests(root)

    def settle(self) -> "RunCopy":
        """Take the current files as the state that must not lose anything."""
        self.before = digests(self.root)
        return self

    def gates(self, *arguments: str, code: Path = ROOT) -> Done:
        """Run `pytest -m gates` on the copy, with the code of a checkout."""
        report = self.root.with_name(f"{self.root.name}-report.xml")
        report.unlink(missing_ok=True)
        done = subprocess.run(
            command(self.root, f"--junitxml={report}", *arguments),
            cwd=code, env=environment(code), capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        failed, skipped = _cases(report)
        return Done(done.returncode, done.stdout + done.stderr, failed, skipped)

    def verdict(self, gate: str) -> Verdict | None:
        """Return the verdict of a gate on disk."""
        return read_verdict(self.rundir, gate_named(gate))

    def lost(self) -> list[str]:
        """Return the outputs of the finished run whose content is no longer in the copy, not even superseded."""
        contents = set(digests(self.root).values())
        return [name for name, digest in self.before.items() if name.split("/")[0] in WORK and digest not in contents]

    def left_after(self, gate: str) -> list[str]:
        """Return the outputs in place of the gates after this one; files in `superseded/` do not count."""
        patterns = [pattern for later in gates_after(gate) for pattern in later.outputs]
        return sorted(self.rundir.relative(path) for pattern in patterns for path in self.root.glob(pattern))


def command(root: Path, *arguments: str) -> list[str]:
    """Return the command of a gates run on a run directory."""
    options = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "gates", f"--run-dir={root}"]
    return [sys.executable, *options, *arguments, "tests/gates"]


def environment(code: Path = ROOT) -> dict[str, str]:
    """Return the environment of a gates run: offline, and with the code of a checkout."""
    return os.environ | {"PYTHONPATH": str(code), "HF_HUB_OFFLINE": "1"}


def checkout(folder: Path) -> Path:
    """Copy the files that a gates run needs from this checkout, without its repository."""
    folder.mkdir()
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, folder)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "__init__.py", folder / "tests")
    for name in ("ctai", "tests/gates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def stopped(copy: RunCopy, done: Done, gate: str, *metrics: str) -> str:
    """Assert that a gate failed on these metrics, blocked all later gates and lost nothing; return its reasons.

    Tests of other metrics of the gate may fail too, tests of other gates not.
    """
    failed_metrics = {
        name.removeprefix("test_threshold[").removesuffix("]") for file, name in done.failed if file == f"test_{gate}"
    }
    assert done.code == 1, done.output
    assert failed_metrics >= set(metrics), done.output
    assert len(failed_metrics) == len(done.failed), f"other gates failed too:\n{done.output}"
    verdict = copy.verdict(gate)
    assert verdict is not None
    assert verdict.outcome == "failed"
    reasons = "; ".join(verdict.reasons)
    assert all(any(reason.startswith(f"{metric} ") for reason in verdict.reasons) for metric in metrics), reasons
    blocked(copy, done, gate, f"blocked by gate {gate}: {reasons}")
    assert not any(copy.verdict(later.name) for later in gates_after(gate))
    assert copy.left_after(gate) == []
    return reasons


def said_by(done: Done, gate: str, metric: str) -> str:
    """Return the message of the failed test of a metric."""
    return done.failed[f"test_{gate}", f"test_threshold[{metric}]"]


def blocked(copy: RunCopy, done: Done, gate: str, reason: str) -> None:
    """Assert that all tests of later gates were skipped for this reason, and that nothing was lost."""
    for later in gates_after(gate):
        messages = {message for (file, _), message in done.skipped.items() if file == f"test_{later.name}"}
        assert messages, f"gate {later.name} was not skipped:\n{done.output}"
        assert all(message.startswith(reason) for message in messages), messages
    assert copy.lost() == []


def refused(copy: RunCopy, done: Done, sentence: str) -> None:
    """Assert that pytest refused to start with this sentence and changed nothing but the logs."""
    assert done.code == 4, done.output
    assert sentence in done.output
    assert "Traceback" not in done.output
    current = digests(copy.root)
    changed = {name for name, digest in copy.before.items() if current.get(name) != digest}
    assert changed <= {"logs/session_manifest.json", "logs/budget_ledger.json"}


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _cases(report: Path) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """Return the messages of tests that failed or had an error, and of those that were skipped."""
    failed: dict[tuple[str, str], str] = {}
    skipped: dict[tuple[str, str], str] = {}
    if not report.is_file():
        return failed, skipped
    for case in ElementTree.parse(report).iter("testcase"):
        key = (case.attrib["classname"].rpartition(".")[2], case.attrib["name"])
        for child in case:
            if child.tag in ("failure", "error"):
                # pytest adds a prefix to the message of an error in a fixture, but not to that of a failure
                failed[key] = child.attrib["message"].removeprefix('failed on setup with "').removesuffix('"')
            elif child.tag == "skipped":
                skipped[key] = child.attrib["message"]
    return failed, skipped

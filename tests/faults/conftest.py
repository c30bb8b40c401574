"""Fixtures of fault injection: a finished run, copies of it, and models that must not pass."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctai.cli import main
from ctai.config import RunConfig
from ctai.evidence.verdicts import verdict_status
from ctai.registry import GATES
from ctai.rundir import RunDir
from tests.faults import models
from tests.faults.runs import ROOT, RunCopy, command, environment

MINUTES = 30


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished run of the current code on the embedded model: an existing one if its verdicts are valid, else a new one.

    `CTAI_FINISHED_RUN` names its directory; the default is that of `pytest -m gates`.
    """
    existing = Path(os.environ.get("CTAI_FINISHED_RUN") or ROOT / "runs" / "embedded-embedded-seed0")
    if existing.is_dir() and is_valid(existing):
        return existing
    root = tmp_path_factory.mktemp("finished") / "run"
    done = subprocess.run(
        command(root), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60 * MINUTES
    )
    assert done.returncode == 0, f"no fault can be injected, because a sound run does not pass:\n{done.stdout}"
    return root


def is_valid(root: Path) -> bool:
    """Return whether all verdicts of a run directory are valid for the current code and unchanged files."""
    config, rundir = RunConfig.load("embedded"), RunDir(root.absolute())
    return all(verdict_status(rundir, config, gate).verdict for gate in GATES) and main(["verify", str(root)]) == 0


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Iterator[RunCopy]:
    """Copy of the finished run, removed after the test."""
    run_copy = RunCopy(finished_run, tmp_path / "run")
    yield run_copy
    shutil.rmtree(run_copy.root)


@pytest.fixture(scope="session")
def merged_model(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embedded model with the adapter of the finished run merged into its weights."""
    return models.merged(finished_run / "checkpoints" / "stage1_sft", tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture
def base_copy(tmp_path: Path) -> Path:
    """Copy of the embedded model under a neutral name."""
    return models.copied(tmp_path / "weights")


@pytest.fixture
def says(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Function that records the message of the check in the JUnit report, for the table of faults."""

    def write(sentence: str) -> None:
        record_property("says", sentence)

    return write

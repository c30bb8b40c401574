"""The finished run that faults are planted in, copies of it, and models that must not pass."""

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
    """A finished run of the present code on the embedded model: the one at hand if its verdicts stand, or a new one.

    `CTAI_FINISHED_RUN` may name it; otherwise it is looked for where `pytest -m gates` leaves it.
    """
    at_hand = Path(os.environ.get("CTAI_FINISHED_RUN") or ROOT / "runs" / "embedded-embedded-seed0")
    if at_hand.is_dir() and stands(at_hand):
        return at_hand
    made = tmp_path_factory.mktemp("finished") / "run"
    done = subprocess.run(
        command(made), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60 * MINUTES
    )
    assert done.returncode == 0, f"no fault can be planted, because a sound run does not pass:\n{done.stdout}"
    return made


def stands(root: Path) -> bool:
    """Whether all verdicts of a run directory are those of the present code, and nothing was changed since."""
    config, rundir = RunConfig.load("embedded"), RunDir(root.absolute())
    return all(verdict_status(rundir, config, gate).verdict for gate in GATES) and main(["verify", str(root)]) == 0


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Iterator[RunCopy]:
    """A copy of the finished run, taken away after the test."""
    made = RunCopy(finished_run, tmp_path / "run")
    yield made
    shutil.rmtree(made.root)


@pytest.fixture(scope="session")
def merged_model(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with the finished run's adapter merged into its weights."""
    return models.merged(finished_run / "checkpoints" / "stage1_sft", tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture
def base_copy(tmp_path: Path) -> Path:
    """A copy of the embedded model under a name that says nothing."""
    return models.copied(tmp_path / "weights")


@pytest.fixture
def says(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Write what the check said into the report, for the table of faults."""

    def write(sentence: str) -> None:
        record_property("says", sentence)

    return write

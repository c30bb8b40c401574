"""A finished run for tests of the report: one to read, and a copy to change."""

import shutil
from pathlib import Path

import pytest

from ctai.rundir import RunDir
from tests.support.reported import finished_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run; only read."""
    return finished_run(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture
def copied(finished: RunDir, tmp_path: Path) -> RunDir:
    """A finished run to change."""
    shutil.copytree(finished.root, tmp_path / "run")
    return RunDir(tmp_path / "run")

"""An empty run directory."""

from pathlib import Path

import pytest

from ctai.rundir import RunDir


@pytest.fixture
def rundir(tmp_path: Path) -> RunDir:
    return RunDir.open(tmp_path / "run")

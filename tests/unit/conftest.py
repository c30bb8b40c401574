"""Fixtures of the unit tests: an adapter for the tiny model, and a copy of the finished run that a test may change."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ctai.rundir import RunDir
from tests.support import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on many threads, and the bits of a sum depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with random weights that changes the tiny model's logits."""
    return tiny.write_adapter(tiny_model_folder, tmp_path_factory.mktemp("tiny") / "adapter")


@pytest.fixture
def rundir(finished: Path, tmp_path: Path) -> RunDir:
    """A copy of the finished run; a test file that needs another run directory has a fixture of its own by this name."""
    return RunDir(shutil.copytree(finished, tmp_path / "run with space é"))

"""A finished pilot shard of a careless scripted model; tests only read it."""

from pathlib import Path

import pytest

from ctai.records import Example
from ctai.rundir import read_jsonl
from tests.support.generated import CarelessModel, make_pilot


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the shard."""
    root = tmp_path_factory.mktemp("shard")
    make_pilot(root, CarelessModel())
    return root / "artifacts" / "pilot"


@pytest.fixture(scope="session")
def examples(shard: Path) -> list[Example]:
    """The examples of the shard."""
    return read_jsonl(shard / "dataset.jsonl", Example)

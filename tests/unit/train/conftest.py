"""A run directory in which the tiny model can be trained."""

from pathlib import Path

import pytest

from tests.support.trained import Prepared


@pytest.fixture
def prepared(tmp_path: Path, tiny_model) -> Prepared:
    """The run directory, as a passed scale gate leaves it."""
    return Prepared(tmp_path / "run", tiny_model)

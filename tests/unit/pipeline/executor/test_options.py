"""Execution options: `--only-shards` and `--workers` together."""

import pytest

from ctai.errors import ConfigError
from ctai.pipeline.executor.options import ExecutionOptions, parse_execution_options
from ctai.pipeline.executor.specs import ExecutorSpec

pytestmark = pytest.mark.unit


def test_numbers_of_shards_are_read():
    assert parse_execution_options(None, "0, 2-3", 4) == ExecutionOptions(None, frozenset({0, 2, 3}))
    assert parse_execution_options("here", None, 4) == ExecutionOptions(ExecutorSpec(), frozenset())


@pytest.mark.parametrize("text", ["4", "3-1", "", "a", "1-", "-1", "0,,1"])
def test_numbers_that_are_none_are_one_sentence(text):
    with pytest.raises(ConfigError, match="Write numbers from 0 to 3"):
        parse_execution_options(None, text, 4)

"""Execution options: the executor of the scale gate, and the shards to generate in this session."""

import re
from typing import Any, NamedTuple

from ctai.errors import ConfigError
from ctai.pipeline.executor.specs import ExecutorSpec, parse_executor


class ExecutionOptions(NamedTuple):
    """Distribution of the work of the scale gate; does not change the generated data.

    Attributes:
        executor: executor of the shards; None chooses by the machine.
        only: numbers of the shards to generate in this session; empty for all.
    """

    executor: ExecutorSpec | None = None
    only: frozenset[int] = frozenset()

    def record(self) -> dict[str, Any]:
        """Return the options as the session manifest records them."""
        workers = {} if self.executor is None else {"workers": self.executor._asdict()}
        return {**workers, **({"only": sorted(self.only)} if self.only else {})}


def parse_execution_options(workers: str | None, only: str | None, shards: int) -> ExecutionOptions:
    """Parse `--workers` and `--only-shards`.

    Args:
        workers: value of `--workers`; see `parse_executor`.
        only: value of `--only-shards`: numbers and ranges that count from 0, such as `0,2-3`.
        shards: number of shards of the run.

    Raises:
        CtaiError: a value is invalid or names a shard that does not exist, or Ray is needed and not installed.
    """
    numbers: set[int] = set()
    for part in only.split(",") if only is not None else ():
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < shards:
            raise ConfigError(
                f"--only-shards {only}: invalid shards. Write numbers from 0 to {shards - 1}, such as 0,2-3"
            )
        numbers.update(range(first, last + 1))
    return ExecutionOptions(parse_executor(workers), frozenset(numbers))

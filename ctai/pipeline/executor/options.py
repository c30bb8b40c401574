"""Execution options: where the shards of the scale gate are made, and which of them in this session."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ctai.errors import ConfigError
from ctai.pipeline.executor.specs import ExecutorSpec, parse_executor

if TYPE_CHECKING:
    pass


class ExecutionOptions(NamedTuple):
    """How the work of the scale gate is shared out; it changes nothing of what is made.

    Attributes:
        executor: where shards are made; None chooses by the machine.
        only: numbers of the shards to make in this session; empty: all.
    """

    executor: ExecutorSpec | None = None
    only: frozenset[int] = frozenset()

    def record(self) -> dict[str, Any]:
        """What the session manifest says of it."""
        workers = {} if self.executor is None else {"workers": self.executor._asdict()}
        return {**workers, **({"only": sorted(self.only)} if self.only else {})}


def parse_execution_options(workers: str | None, only: str | None, shards: int) -> ExecutionOptions:
    """What `--workers` and `--only-shards` say; the latter counts from 0, such as `0,2-3`.

    Raises:
        CtaiError: one of them cannot be understood, names shards that there are not, or needs Ray, which is missing.
    """
    numbers: set[int] = set()
    for part in only.split(",") if only is not None else ():
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if not first <= last < shards:
            raise ConfigError(f"--only-shards {only}: write numbers from 0 to {shards - 1}, such as 0,2-3")
        numbers.update(range(first, last + 1))
    return ExecutionOptions(parse_executor(workers), frozenset(numbers))

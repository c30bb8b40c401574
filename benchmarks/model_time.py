"""Pytest plugin that measures the time of a gates run inside the model: forward, backward and optimizer.

`benchmarks.orchestration` uses it as `-p benchmarks.model_time`.
"""

import functools
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

OUT = "CTAI_MODEL_TIME"
# Start of the process, by the clock of `perf_counter`.
_BEGAN = time.perf_counter() - (time.time() - psutil.Process().create_time())


class _Clock:
    """Wall and processor time inside the outermost watched call."""

    def __init__(self) -> None:
        self.inside = [0.0, 0.0]
        self._depth = 0

    def watch(self, owner: Any, name: str) -> None:
        """Count the time in a method."""
        work: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(work)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            start = _now()
            try:
                return work(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.inside = [
                        total + after - before for total, after, before in zip(self.inside, _now(), start, strict=True)
                    ]

        setattr(owner, name, timed)


class ModelTime:
    """Plugin that writes wall and processor seconds by test file, in total and inside the model."""

    def __init__(self, out: Path) -> None:
        import torch
        import transformers

        import ctai.model.loader  # noqa: F401  # all that a gates run imports sooner or later: a line of its own

        self._out = out
        self._clock = _Clock()
        self._clock.watch(transformers.PreTrainedModel, "__call__")
        self._clock.watch(torch.Tensor, "backward")
        self._clock.watch(torch.optim.AdamW, "step")
        self._gates: dict[str, list[float]] = defaultdict(lambda: [0.0] * 4, {"start and imports": [*_now(), 0.0, 0.0]})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Add the time of one test with its fixtures."""
        before = [*_now(), *self._clock.inside]
        result = yield
        after = [*_now(), *self._clock.inside]
        gate = self._gates[item.path.name]
        gate[:] = [total + b - a for total, a, b in zip(gate, before, after, strict=True)]
        return result

    def pytest_unconfigure(self) -> None:
        """Write the measurements."""
        total = [*_now(), *self._clock.inside]
        from ctai.rundir import write_text  # not at the top: imports are measured

        write_text(self._out, json.dumps({"total": total, "gates": self._gates}))


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin if the environment variable names its output file."""
    if out := os.environ.get(OUT):
        config.pluginmanager.register(ModelTime(Path(out)))


def _now() -> tuple[float, float]:
    """Return wall and processor seconds since the start of the process."""
    return time.perf_counter() - _BEGAN, time.process_time()

"""What all benchmarks share: arms that take turns, ratios with their spread, models, and the machine.

Wall time on a busy machine says little, so nothing is timed by itself: the arms take turns, and what is reported is the
ratio of each turn, its median and its range.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ctai.model.clean_model import CleanModel
from ctai.statistics import describe

PRODUCT = "ctai"


class Output(NamedTuple):
    """What an arm made: how much of it, in the benchmark's unit, and the results themselves, for comparing.

    `scale` is how many times more work all items are than those that the arm did: slow arms may do a part.
    """

    amount: float
    results: Any
    scale: float = 1.0


class Arm(NamedTuple):
    """One way to do the work.

    `agreement` says in words how far the product's results (the first) are those of the arm. `prepare` is not timed: imports
    and what is made once.
    """

    name: str
    run: Callable[[], Output]
    agreement: Callable[[Any, Any], str] = lambda _ours, _theirs: ""
    prepare: Callable[[], object] = lambda: None


@dataclass
class Row:
    """One line of the table: the rate of an arm, and how many times faster the product was in the same turn."""

    benchmark: str
    model: str
    arm: str
    unit: str
    rate: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    note: str = ""


@dataclass
class Subject:
    """A model to measure on: its name in the table, the model, and whether it knows little more than the embedded world."""

    name: str
    model: CleanModel
    small: bool
    limits: dict[str, float] = field(default_factory=dict)


def compare(
    benchmark: str, subject: Subject, unit: str, product: Callable[[], Output], peers: Sequence[Arm], turns: int
) -> list[Row]:
    """Let product and peers take turns, after one turn of the product that nobody counts.

    A peer that cannot run (it is not installed, or fails) gets a row that says why.
    """
    arms = [Arm(PRODUCT, product), *peers]
    seconds: dict[str, list[float]] = {arm.name: [] for arm in arms}
    outputs: dict[str, Output] = {}
    failed: dict[str, str] = {}
    product()
    for turn in range(turns):
        for arm in arms:
            if arm.name in failed:
                continue
            try:
                if turn == 0:
                    arm.prepare()
                start = time.perf_counter()
                output = outputs[arm.name] = arm.run()
                seconds[arm.name].append((time.perf_counter() - start) * output.scale)
            except Exception as error:  # a peer's own faults are no reason to measure nothing
                if arm.name == PRODUCT:
                    raise
                failed[arm.name] = f"not measured: {type(error).__name__}: {str(error)[:120]}"
    ours, rows = seconds[PRODUCT], []
    for arm in arms:
        row = Row(benchmark, subject.name, arm.name, unit, note=failed.get(arm.name, ""))
        rows.append(row)
        if row.note:
            continue
        output, theirs = outputs[arm.name], seconds[arm.name]
        row.rate = output.amount * output.scale / describe(theirs).median
        if arm.name != PRODUCT:
            ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
            row.ratio, row.ratio_low, row.ratio_high = describe(ratios).median, min(ratios), max(ratios)
            row.note = arm.agreement(outputs[PRODUCT].results, output.results)
    return rows


def best_seconds(work: Callable[[], Any], times: int = 7) -> float:
    """The least wall time of a few runs, after one that nobody counts: for limits of the hardware."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def machine() -> dict[str, Any]:
    """Processor, threads and versions."""
    names = ("torch", "transformers", "peft", "bitsandbytes", "trl", "lm_eval", "numpy")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {name: _version(name) for name in names},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{found.get('model name', '?')}, family {found.get('cpu family', '?')}, model {found.get('model', '?')}"

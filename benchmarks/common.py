"""Shared parts of the benchmarks: arms that take turns, speed ratios with their range, models, and the machine.

Wall time on a busy machine is unreliable, so the arms take turns, and the result is the ratio within each turn, with its
median and range.
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
    """Output of an arm: its amount in the unit of the benchmark, and the results, for comparison.

    `scale` is the number of all items over those that the arm processed: slow arms may process a part.
    """

    amount: float
    results: Any
    scale: float = 1.0


class Arm(NamedTuple):
    """Implementation to compare.

    `agreement` describes in words how far the results of the product (first argument) and of the arm (second) agree.
    `prepare` is not timed: imports and setup.
    """

    name: str
    run: Callable[[], Output]
    agreement: Callable[[Any, Any], str] = lambda _ours, _theirs: ""
    prepare: Callable[[], object] = lambda: None


@dataclass
class Row:
    """Row of the table: the rate of an arm, and the speed of the product relative to it in the same turn."""

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
    """Model to measure on; `small` models get shorter prompts."""

    name: str
    model: CleanModel
    small: bool
    limits: dict[str, float] = field(default_factory=dict)


def compare(
    benchmark: str, subject: Subject, unit: str, product: Callable[[], Output], peers: Sequence[Arm], turns: int
) -> list[Row]:
    """Time product and peers in turns, after one warm-up of the product.

    The row of a peer that is not installed or fails names the error.
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
            except Exception as error:  # the failure of a peer must not stop the benchmark
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
    """Return the minimum wall time of several calls, after a warm-up, to measure limits of the hardware."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def machine() -> dict[str, Any]:
    """Return processor, cores, GPU and versions of the libraries."""
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
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{fields.get('model name', '?')}, family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"

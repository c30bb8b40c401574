"""Runs the benchmarks: a table on the terminal, and the same as JSON.

    python -m benchmarks                                      everything, on the embedded model
    python -m benchmarks --model embedded --model smol.gguf   on two models
    python -m benchmarks --only generation,critic --repeat 5
    python -m benchmarks --model shape:Qwen2.5-32B --device cuda
                                                              one GPU, random weights of that shape, nothing downloaded

The peers come with `pip install -e '.[bench]'`; one that is missing gets a row that says so.
"""

import argparse
import dataclasses
import datetime
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import hardware, page, shape
from benchmarks.common import Row, Subject, machine
from benchmarks.shapes import PREFIX, SHAPES
from ctai.model.loader import CleanModelLoader
from ctai.provenance import git_state
from ctai.rundir import write_text

BENCHMARKS = ("hardware", "generation", "critic", "training", "dedup", "orchestration")
_SMALL = 20_000_000


def main() -> int:
    """Run what was asked for and show it."""
    arguments = asked()
    rows: list[Row] = []
    for model in arguments.model:
        for row in measured(model, arguments):
            rows.append(row)
            keep(rows, arguments)  # at once, so that what is measured is not lost by what comes after it
    show(rows)
    result = keep(rows, arguments)
    if arguments.page:
        page.update(arguments.page, result)
    return 0


def asked() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--model", action="append", help="embedded, a folder, a .gguf file or shape:NAME; may be given again"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeat", type=int, default=3, help="turns that each arm gets; a shape gets one")
    parser.add_argument(
        "--only", default=",".join(BENCHMARKS), help="names with commas between: " + ", ".join(BENCHMARKS)
    )
    parser.add_argument("--items", type=int, default=64, help="prompts, and pairs to judge; a shape has its own")
    parser.add_argument("--steps", type=int, default=8, help="of training; a shape has its own")
    parser.add_argument(
        "--deeper", type=int, default=1, help="orchestration also with so many times the layers of the embedded model"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="where the numbers go")
    parser.add_argument("--page", type=Path, help="a page whose table is replaced: docs/performance.md")
    arguments = parser.parse_args()
    arguments.model, arguments.only = arguments.model or ["embedded"], arguments.only.split(",")
    if unknown := sorted(set(arguments.only) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    shapes = {model.removeprefix(PREFIX) for model in arguments.model if model.startswith(PREFIX)}
    if unknown := sorted(shapes - SHAPES.keys()):
        parser.error(f"there is no shape {', '.join(unknown)}; choose from {', '.join(SHAPES)}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine offers no CUDA device to torch; leave out --device cuda")
    return arguments


def measured(model: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows of one model, as they are measured."""
    console = Console(stderr=True)
    if model.startswith(PREFIX):
        for row in shape.run(model.removeprefix(PREFIX), arguments.device, arguments.only):
            console.print(f"{row.model}: {row.benchmark}, {row.arm}: {rate(row)} {row.note}", markup=False)
            yield row
        return
    subject = load(model, arguments.device)
    for name in arguments.only:
        work = importlib.import_module(f"benchmarks.{name}")
        sizes = {"items": arguments.items, "turns": arguments.repeat, "steps": arguments.steps}
        yield from work.run(subject, **sizes, deeper=arguments.deeper)
        console.print(f"{subject.name}: {name} done")


def load(model: str, device: str) -> Subject:
    """The model with all it was found to be: speed does not depend on whether gate 1 would let it pass."""
    found = CleanModelLoader(model, device=device, batch_size=128).check(sentinels=False).model
    if found is None:
        raise SystemExit(f"{model} holds files that forbid even to load it")
    small = found.module.num_parameters() < _SMALL
    return Subject(Path(model).stem, found, small, hardware.limits(device))


def keep(rows: list[Row], arguments: argparse.Namespace) -> dict[str, Any]:
    """Write what was measured; returns it."""
    result = document(rows, arguments.device)
    write_text(arguments.json, json.dumps(result, indent=1) + "\n")
    return result


def document(rows: list[Row], device: str) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "date": today,
        "commit": git_state(Path(__file__).parents[1])[0],
        "device": device,
        "machine": machine(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def rate(row: Row) -> str:
    """A rate with its unit, or nothing."""
    return "" if row.rate is None else f"{row.rate:,.1f} {row.unit}"


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table("benchmark", "model", "arm", "rate", "ctai is faster by", "note")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        table.add_row(row.benchmark, row.model, row.arm, rate(row), ratio, row.note)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if not torch.cuda.is_available():
        Console().print("No GPU: nothing was measured on one.")


if __name__ == "__main__":
    sys.exit(main())

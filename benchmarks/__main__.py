"""Command line of the benchmarks: prints a table and writes it as JSON.

    python -m benchmarks                                      everything, on the embedded model
    python -m benchmarks --model embedded --model smol.gguf   on two models
    python -m benchmarks --only generation,critic --repeat 5
    python -m benchmarks --model shape:Qwen2.5-32B --device cuda
                                                              one GPU, random weights of that shape, nothing downloaded

Install the compared libraries with `pip install -e '.[bench]'`; the row of a missing one names the error.
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
    """Run the selected benchmarks and print the table."""
    arguments = parse_arguments()
    rows: list[Row] = []
    for model in arguments.model:
        for row in measure(model, arguments):
            rows.append(row)
            save(rows, arguments)  # after every row, so that a later failure loses nothing
    show(rows)
    result = save(rows, arguments)
    if arguments.page:
        page.update(arguments.page, result)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse and check the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--model", action="append", help="embedded, a folder, a .gguf file or shape:NAME; may be given several times"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeat", type=int, default=3, help="turns of each arm; a shape has one")
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="comma-separated names: " + ", ".join(BENCHMARKS))
    parser.add_argument("--items", type=int, default=64, help="number of prompts and pairs; fixed for a shape")
    parser.add_argument("--steps", type=int, default=8, help="training steps; fixed for a shape")
    parser.add_argument(
        "--deeper", type=int, default=1, help="run orchestration also with this multiple of the embedded model's layers"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="file of the results")
    parser.add_argument("--page", type=Path, help="page with the table to replace: docs/performance.md")
    arguments = parser.parse_args()
    arguments.model, arguments.only = arguments.model or ["embedded"], arguments.only.split(",")
    if unknown := sorted(set(arguments.only) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    shapes = {model.removeprefix(PREFIX) for model in arguments.model if model.startswith(PREFIX)}
    if unknown := sorted(shapes - SHAPES.keys()):
        parser.error(f"there is no shape {', '.join(unknown)}; choose from {', '.join(SHAPES)}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device: omit --device cuda")
    return arguments


def measure(model: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of one model as they are measured."""
    console = Console(stderr=True)
    if model.startswith(PREFIX):
        for row in shape.run(model.removeprefix(PREFIX), arguments.device, arguments.only):
            console.print(f"{row.model}: {row.benchmark}, {row.arm}: {rate(row)} {row.note}", markup=False)
            yield row
        return
    subject = load(model, arguments.device)
    for name in arguments.only:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        sizes = {"items": arguments.items, "turns": arguments.repeat, "steps": arguments.steps}
        yield from benchmark.run(subject, **sizes, deeper=arguments.deeper)
        console.print(f"{subject.name}: {name} done")


def load(model: str, device: str) -> Subject:
    """Load a model without requiring that it passes gate contamination, which does not affect its speed."""
    clean_model = CleanModelLoader(model, device=device, batch_size=128).check(sentinels=False).model
    if clean_model is None:
        raise SystemExit(
            f"{model}: ctai refuses to load its files. Use safetensors or GGUF weights without an adapter."
        )
    small = clean_model.module.num_parameters() < _SMALL
    return Subject(Path(model).stem, clean_model, small, hardware.limits(device))


def save(rows: list[Row], arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the results as JSON and return them."""
    result = document(rows, arguments.device)
    write_text(arguments.json, json.dumps(result, indent=1) + "\n")
    return result


def document(rows: list[Row], device: str) -> dict[str, Any]:
    """Return the results with date, commit and machine."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "date": today,
        "commit": git_state(Path(__file__).parents[1])[0],
        "device": device,
        "machine": machine(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def rate(row: Row) -> str:
    """Format the rate of a row with its unit; empty without a rate."""
    return "" if row.rate is None else f"{row.rate:,.1f} {row.unit}"


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table("benchmark", "model", "arm", "rate", "ctai is faster by", "note")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        table.add_row(row.benchmark, row.model, row.arm, rate(row), ratio, row.note)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if not torch.cuda.is_available():
        Console().print("No GPU: nothing was measured on one.")


if __name__ == "__main__":
    sys.exit(main())

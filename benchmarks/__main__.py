"""Runs the benchmarks: a table on the terminal, and the same as JSON.

    python -m benchmarks                                      everything, on the embedded model
    python -m benchmarks --model embedded --model smol.gguf   on two models
    python -m benchmarks --only generation,critic --repeat 5

The peers come with `pip install -e '.[bench]'`; one that is missing gets a row that says so.
"""

import argparse
import dataclasses
import datetime
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import hardware, page
from benchmarks.common import Row, Subject, machine
from ctai.model.loader import CleanModelLoader
from ctai.provenance import git_state
from ctai.rundir import write_text

BENCHMARKS = ("hardware", "generation", "critic", "training", "dedup", "orchestration")
_SMALL = 20_000_000


def main() -> int:
    """Run what was asked for and show it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", action="append", help="embedded, a folder or a .gguf file; may be given again")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeat", type=int, default=3, help="turns that each arm gets")
    parser.add_argument(
        "--only", default=",".join(BENCHMARKS), help="names with commas between: " + ", ".join(BENCHMARKS)
    )
    parser.add_argument("--items", type=int, default=64, help="prompts, and pairs to judge")
    parser.add_argument("--steps", type=int, default=8, help="of training")
    parser.add_argument(
        "--deeper", type=int, default=1, help="orchestration also with so many times the layers of the embedded model"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="where the numbers go")
    parser.add_argument("--page", type=Path, help="a page whose table is replaced: docs/performance.md")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := sorted(set(chosen) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    for model in arguments.model or ["embedded"]:
        subject = load(model, arguments.device)
        for name in chosen:
            work = importlib.import_module(f"benchmarks.{name}")
            sizes = {"items": arguments.items, "turns": arguments.repeat, "steps": arguments.steps}
            rows += work.run(subject, **sizes, deeper=arguments.deeper)
            Console(stderr=True).print(f"{subject.name}: {name} done")
    show(rows)
    measured = document(rows)
    write_text(arguments.json, json.dumps(measured, indent=1) + "\n")
    if arguments.page:
        page.update(arguments.page, measured)
    return 0


def load(model: str, device: str) -> Subject:
    """The model with all it was found to be: speed does not depend on whether gate 1 would let it pass."""
    found = CleanModelLoader(model, device=device, batch_size=128).examine(sentinels=False).model
    if found is None:
        raise SystemExit(f"{model} holds files that forbid even to load it")
    small = found.module.num_parameters() < _SMALL
    return Subject(Path(model).stem, found, small, hardware.limits(device))


def document(rows: list[Row]) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "date": today,
        "commit": git_state(Path(__file__).parents[1])[0],
        "machine": machine(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table("benchmark", "model", "arm", "rate", "ctai is faster by", "note")
    for row in rows:
        rate = "" if row.rate is None else f"{row.rate:,.1f} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        table.add_row(row.benchmark, row.model, row.arm, rate, ratio, row.note)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if not torch.cuda.is_available():
        Console().print("No GPU: nothing was measured on one.")


if __name__ == "__main__":
    sys.exit(main())

"""Command line: ``python -m scripts.build_embedded [--steps N] [--seed N] [--out DIR] [--install]``.

Builds the embedded base model from scratch, measures it in NF4 and float32 and writes its model card. ``--install``
replaces the model of the package; ``--measure-only`` measures a model that was built earlier.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from scripts.build_embedded.acceptance import failed_criteria
from scripts.build_embedded.card import write_card
from scripts.build_embedded.controls import BASE
from scripts.build_embedded.measure import measure
from scripts.build_embedded.pretrain import Plan, Trainer

SHIPPED = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "README.md",
    "build.json",
)


def main() -> None:
    """Build, measure, document and install the model."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_embedded", description=__doc__)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--out", type=Path, default=Path("build/embedded"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--items", type=int, default=300, help="items for each measurement")
    parser.add_argument("--measure-only", action="store_true", help="--out is a model folder with a build.json")
    parser.add_argument("--install", action="store_true", help="copy the result into ctai/model/embedded")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure_only:
        print(json.dumps(_measured(arguments.out, arguments.items), indent=1))
        return
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    trainer = Trainer(plan, arguments.out)
    digest = trainer.run()
    folder = arguments.out / "model"
    trainer.export(folder)
    metrics = _measured(folder, arguments.items)
    write_card(folder, plan, digest, metrics)
    problems = [f"{precision}: {text}" for precision, values in metrics.items() for text in failed_criteria(values)]
    if problems:
        raise SystemExit("the model misses acceptance criteria and is not installed:\n  " + "\n  ".join(problems))
    if arguments.install:
        install(folder)


def _measured(folder: Path, items: int) -> dict[str, dict[str, Any]]:
    return {"nf4": measure(folder, "nf4", items), "float32": measure(folder, "none", items)}


def install(folder: Path, target: Path = BASE) -> None:
    """Copy the files of a measured model into the package, the weights last."""
    target.mkdir(parents=True, exist_ok=True)
    for name in sorted(SHIPPED, key=lambda name: name == "model.safetensors"):
        part = target / f"{name}.part"
        shutil.copy(folder / name, part)
        part.chmod(0o644)
        part.rename(target / name)


if __name__ == "__main__":
    main()

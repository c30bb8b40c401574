"""Command line: ``python -m scripts.build_embedded [--steps N] [--seed N] [--out DIR] [--install]``.

Builds the embedded base model from scratch, measures it in NF4 and float32 and writes its model card. ``--install``
replaces the model of the package. ``--measure-only`` measures the model folder ``--out``, which was built earlier, and writes
its card.
"""

import argparse
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from scripts.build_embedded.acceptance import REQUIRED, TARGETS, Criterion, misses
from scripts.build_embedded.card import Origin, read_origin, write_card
from scripts.build_embedded.controls import BASE
from scripts.build_embedded.measure import Metrics, Quantization, measure
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
PRECISIONS: dict[str, Quantization] = {"nf4": "nf4", "float32": "none"}


def main() -> None:
    """Build, measure, document and install the model."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_embedded", description=__doc__)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--out", type=Path, default=Path("build/embedded"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--items", type=int, default=400, help="items for each measurement")
    parser.add_argument("--measure-only", action="store_true", help="--out is a model folder: write its card")
    parser.add_argument("--install", action="store_true", help="copy the result into ctai/model/embedded")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure_only:
        folder, origin = arguments.out, read_origin(arguments.out)
    else:
        folder, origin = _build(arguments.out, Plan(steps=arguments.steps, seed=arguments.seed))
    metrics = _measured(folder, arguments.items)
    write_card(folder, origin, metrics)
    print("\n".join(["missed targets:", *_missed(TARGETS, metrics)]))
    if problems := _missed(REQUIRED, metrics):
        raise SystemExit("the model misses requirements and is not installed:\n" + "\n".join(problems))
    if arguments.install:
        install(folder)


def _build(out: Path, plan: Plan) -> tuple[Path, Origin]:
    trainer = Trainer(plan, out)
    digest = trainer.run()
    trainer.export(out / "model")
    return out / "model", Origin.of(plan, digest)


def _measured(folder: Path, items: int) -> dict[str, Metrics]:
    """Measure each precision in a separate process: the loader gives a small model one thread."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(PRECISIONS), spawn) as pool:
        running = {name: pool.submit(measure, folder, quantization, items) for name, quantization in PRECISIONS.items()}
        return {name: future.result() for name, future in running.items()}


def _missed(criteria: tuple[Criterion, ...], metrics: dict[str, Metrics]) -> list[str]:
    return [f"  {precision}: {text}" for precision, values in metrics.items() for text in misses(criteria, values)]


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

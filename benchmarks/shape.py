"""Benchmark of a published model shape: rate, peak memory and share of the hardware limit of engine, critic and trainer.

It shows the utilization of a GPU, and whether code that is tested on a CPU runs on it. Each part reports separately, also
when another one has failed. Weights are random (`benchmarks.shapes`): texts have fixed lengths and no end.
"""

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import torch

from benchmarks import hardware, shape_parts, shapes
from benchmarks.common import Row
from benchmarks.shape_parts import Measured, Sizes
from benchmarks.shapes import Shaped
from ctai.config import GenerationSettings
from ctai.records import Sampling

# Memory of the smallest supported GPU in GB, and target rates of the largest shape on an H100, by benchmark.
_CARD_GB = 46
_GOALS = {"generation": 1500, "critic": 30, "training": 2000}
_GOALS_FOR = "Qwen2.5-32B"


def run(name: str, device: str, chosen: list[str], sizes: Sizes | None = None) -> Iterator[Row]:
    """Yield each row as soon as it is measured: one for every rate, and on a GPU one for its memory.

    Args:
        name: name of a shape.
        device: `cpu` or `cuda`.
        chosen: names of benchmarks; those that do not apply to a shape are ignored.
        sizes: sizes of the workload.
    """
    sizes, limits = sizes or Sizes(), hardware.limits(device)
    if "hardware" in chosen:
        yield from hardware.rows(name, limits, device)
    models: list[Shaped] = []

    def make() -> Measured:
        start = time.perf_counter()
        module = shapes.module_of(name, device)
        models.append(Shaped(name, device, module, shapes.tokenizer_of(module.config.vocab_size), limits))
        return Measured(None, f"made in {time.perf_counter() - start:.0f} s, weight by weight")

    yield from _reported("weights", "NF4", "", name, device, make)
    if models:
        yield from _parts(models[0], chosen, sizes)


def _parts(model: Shaped, chosen: list[str], sizes: Sizes) -> Iterator[Row]:
    def part(benchmark: str, arm: str, unit: str, work: Callable[[], Measured]) -> Iterator[Row]:
        if benchmark in chosen:
            yield from _reported(benchmark, arm, unit, model.name, model.device, work)

    yield from part("critic", "rubric computed once", "items/s", partial(shape_parts.critic, model, sizes))
    written = partial(shape_parts.generation, model, sizes)
    greedy = Sampling(max_new_tokens=sizes.written)
    for rows in sizes.rows:
        yield from part("generation", f"{rows} rows", "response tokens/s", partial(written, rows, greedy))
    sampled = GenerationSettings().response_sampling.model_copy(update={"max_new_tokens": sizes.written, "stop": ()})
    arm, rows = f"{sizes.sampled_rows} rows, sampled as responses are", sizes.sampled_rows
    yield from part("generation", arm, "response tokens/s", partial(written, rows, sampled))
    for batch in sizes.device_batches:
        work = partial(shape_parts.training, model, sizes, batch)
        yield from part("training", f"QLoRA, {batch} pairs at once", "tokens/s", work)
    yield from part("training", "gone on from a checkpoint", "", partial(shape_parts.resumed, model, sizes))


def _reported(
    benchmark: str, arm: str, unit: str, name: str, device: str, work: Callable[[], Measured]
) -> Iterator[Row]:
    """Yield the row of a part, with the error if it failed, and on a GPU the row of its memory."""
    _forget(device)
    row = Row(benchmark, name, arm, unit)
    try:
        row.rate, row.note = work()
    except torch.OutOfMemoryError:
        row.note = "out of memory"
    except Exception as error:  # a failed part must not stop the parts after it
        traceback.print_exc()
        row.note = f"not measured: {type(error).__name__}: {str(error)[:200]}"
    if row.rate and name == _GOALS_FOR:
        row.note += f"; {_GOALS[benchmark]:,} were aimed at on an H100"
    yield row
    if device == "cuda":
        reserved, allocated = torch.cuda.max_memory_reserved() / 1e9, torch.cuda.max_memory_allocated() / 1e9
        note = f"at most; {allocated:.1f} GB of it in use, {_CARD_GB} GB is the aim"
        yield Row("memory", name, f"{benchmark}, {arm}", "GB", reserved, note=note)


def _forget(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

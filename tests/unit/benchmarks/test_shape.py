"""Models of a published shape: that they are what the loader would have read, and that every part of the benchmark reports."""

import math
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen2ForCausalLM

from benchmarks import __main__, roofline, shape, shape_parts, shapes
from benchmarks.common import Row
from benchmarks.shape_parts import Sizes
from ctai.model.loader import CleanModelLoader

pytestmark = pytest.mark.unit

# As the model cards give them, to the last one.
PARAMETERS = {"Qwen2.5-32B": 32_763_876_352, "Qwen2.5-7B": 7_615_616_512, "Qwen2.5-0.5B": 494_032_768}
SMALL = Sizes((2, 5), 20, 8, 4, 3, 20, 8, 6, 24, 4, (4, 16))
ALL = ["hardware", "critic", "generation", "training", "orchestration"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_shape_has_as_many_parameters_as_the_model_of_its_name(name: str) -> None:
    with torch.device("meta"):
        module = Qwen2ForCausalLM(shapes.config_of(name))
    assert module.num_parameters() == PARAMETERS[name]


def test_a_shape_is_what_the_loader_reads_from_files(tmp_path: Path) -> None:
    config = shapes.config_of("tiny")
    made = shapes.weights(config, "cpu", torch.float32)
    config.architectures = ["Qwen2ForCausalLM"]
    config.save_pretrained(tmp_path)
    save_file({name: weight[...] for name, weight in made.items()}, tmp_path / "model.safetensors", {"format": "pt"})
    shapes.tokenizer_of(config.vocab_size).save_pretrained(tmp_path)
    read = CleanModelLoader(str(tmp_path), "nf4").check(sentinels=False).model
    assert read is not None
    module = shapes.module_of("tiny", "cpu")
    assert described(module) == described(read.module)
    ours, theirs = module.state_dict(), read.module.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert sum(description[1] == "Linear4bit" for description in described(module)) == 2 * 7


def described(module: Any) -> list[tuple[object, ...]]:
    """Class, mode, and weights of every part, with how they are quantized."""
    found: list[tuple[object, ...]] = []
    for name, part in module.named_modules():
        weights = [(key, w.dtype, w.shape, w.requires_grad) for key, w in part.named_parameters(recurse=False)]
        weight: Any = getattr(part, "weight", None)
        state = getattr(weight, "quant_state", None)
        packing = (weight.quant_type, state.blocksize, state.dtype, state.nested, part.compute_dtype) if state else None
        found.append((name, type(part).__name__, part.training, weights, packing))
    return found


def test_only_one_weight_is_whole_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most, make = [0], shapes._random

    def watched(number: int, name: str, *rest: Any) -> torch.Tensor:
        made = make(number, name, *rest)
        if "_proj.weight" in name:
            alive.add(made)
            most.append(len(alive))
        return made

    monkeypatch.setattr(shapes, "_random", watched)
    shapes.module_of("tiny", "cpu")
    assert len(most) == 1 + 2 * 7
    assert max(most) <= 2  # the next is made while a variable still names the one before


def test_every_part_reports() -> None:
    rows = by_arm(shape.run("tiny", "cpu", ALL, SMALL))
    assert list(rows) == [
        "matrix product",
        "memory read",
        "NF4",
        "rubric computed once",
        "2 rows",
        "5 rows",
        "3 rows, sampled as responses are",
        "QLoRA, 4 pairs at once",
        "QLoRA, 16 pairs at once",
        "gone on from a checkpoint",
    ]
    without = {arm for arm, row in rows.items() if row.rate is None}
    assert without == {"NF4", "gone on from a checkpoint"}
    assert all(math.isfinite(row.rate) and row.rate > 0 for row in rows.values() if row.rate is not None)
    assert "losses differ from uninterrupted ones by 0.0e+00, 0.0e+00, the adapters by at most 0.0e+00" in (
        rows["gone on from a checkpoint"].note
    )
    assert "packed, rank 16" in rows["QLoRA, 4 pairs at once"].note
    assert "% of the hardware's limit" in rows["2 rows"].note


def test_a_part_that_fails_says_why_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(shape_parts, "generation", out_of_memory)
    too_long = SMALL._replace(rubric=4000)
    rows = by_arm(shape.run("tiny", "cpu", ["critic", "generation", "training"], too_long))
    assert rows["rubric computed once"].note.startswith("not measured: CtaiError: prompt 0 has 40")
    assert rows["2 rows"].note == "out of memory"
    assert rows["QLoRA, 4 pairs at once"].rate


def test_the_limit_is_the_slower_of_computing_and_reading() -> None:
    limits = {"gflops": 1e3, "gb_per_second": 100.0}  # 1e12 operations and 1e11 bytes a second
    weights = roofline.Weights(parameters=10**9, stored=5e8, unpacked=5e9)
    assert roofline.least_seconds(weights, [1], limits) == pytest.approx(5e-3)  # 2 ms to compute, 5 ms to read
    assert roofline.least_seconds(weights, [1, 100], limits) == pytest.approx(5e-3 + 0.2)
    assert roofline.least_seconds(weights, [1, 100], limits, unpacked=True) == pytest.approx(0.05 + 0.2)
    assert roofline.share(weights, [100], limits, 1.0, passes=3).startswith("60% of the hardware's limit, 60% with")


def test_weights_are_counted_as_they_are_stored() -> None:
    module = shapes.module_of("tiny", "cpu")
    linear = sum(
        part.in_features * part.out_features for part in module.model.modules() if hasattr(part, "in_features")
    )
    found = roofline.weights_of(module)
    assert found.parameters == linear
    assert found.stored == pytest.approx(linear * 0.516 + 4 * 64 * 1024, rel=1e-3)
    assert found.unpacked == found.stored + 8 * linear


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--model", "shape:Qwen9"], "there is no shape Qwen9; choose from Qwen2.5-32B"),
     (["--model", "shape:tiny", "--only", "speed"], "there is no benchmark speed")],
)  # fmt: skip
def test_what_there_is_not_is_said(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options])
    with pytest.raises(SystemExit):
        __main__.parse_arguments()
    assert message in capsys.readouterr().err


def by_arm(rows: Any) -> dict[str, Row]:
    """The rows by their arm."""
    return {row.arm: row for row in rows}

"""Pytest plugin for fault injection into the training of a gates run, used by `scripts.false_passes`.

    STUDY_FAULT=wrong-end-token python -m pytest -m gates -p scripts.faulty_training ...

A control of ctai names itself in the evidence; these faults do not. They stand for a bug or a mistake that no setting
shows: the gates must stop the run by what they measure.
"""

import importlib
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ctai.prompts import Pair
from ctai.rundir import write_bytes
from ctai.tasks import registry

VARIABLE = "STUDY_FAULT"
DATA_VARIABLE = "STUDY_DATA"
SPOILT_TYPE = "fact"
SPOILT_SHARE = 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Plant the fault that the environment names, after all command line options are known."""
    if not config.option.collectonly:
        PLANTS[os.environ[VARIABLE]]()


def _wrong_end_token() -> None:
    """Train with a comma in place of the end-of-text token (fault 18)."""
    sft: Any = importlib.import_module("ctai.train.sft")

    def encode(tokenizer: Any, pairs: Sequence[Pair], _end_id: int, *rest: Any) -> Any:
        return original(tokenizer, pairs, tokenizer(",", add_special_tokens=False)["input_ids"][0], *rest)

    original = sft.encode_pairs
    sft.encode_pairs = encode


def _one_type_spoilt() -> None:
    """Give every instruction of one type the response of another instruction of that type."""
    _change_pairs(lambda pairs: _exchange(pairs, [i for i, pair in enumerate(pairs) if _type(pair) == SPOILT_TYPE]))


def _half_spoilt() -> None:
    """Give a part of all instructions the response of another one."""

    def change(pairs: list[Pair]) -> list[Pair]:
        chosen = random.Random("half spoilt").sample(range(len(pairs)), round(SPOILT_SHARE * len(pairs)))
        return _exchange(pairs, sorted(chosen))

    _change_pairs(change)


def _other_data() -> None:
    """Put the dataset of another run in place just before the training."""
    gate: Any = importlib.import_module("ctai.gates.evaluation")

    def train(model: Any, context: Any, inputs: Any, folder: Path) -> Any:
        write_bytes(inputs.dataset, Path(os.environ[DATA_VARIABLE]).read_bytes())
        return original(model, context, inputs, folder)

    original = gate.train_adapter
    gate.train_adapter = train


def _change_pairs(change: Callable[[list[Pair]], list[Pair]]) -> None:
    sft: Any = importlib.import_module("ctai.train.sft")

    def training_pairs(*arguments: Any) -> list[Pair]:
        return change(original(*arguments))

    original = sft.training_pairs
    sft.training_pairs = training_pairs


def _exchange(pairs: list[Pair], indices: Sequence[int]) -> list[Pair]:
    """Return the pairs with the responses of these exchanged in a cycle, shuffled so that neighbours are unrelated."""
    order = random.Random("exchange").sample(list(indices), len(indices))
    changed = list(pairs)
    for here, there in zip(order, [*order[1:], *order[:1]], strict=True):
        changed[here] = Pair(pairs[here].instruction, pairs[there].response)
    return changed


def _type(pair: Pair) -> str:
    parsed = registry.parse(pair.instruction)
    return registry.by_name(parsed[0]).type if parsed else ""


PLANTS: dict[str, Callable[[], None]] = {
    "wrong-end-token": _wrong_end_token,
    "one-type-spoilt": _one_type_spoilt,
    "half-spoilt": _half_spoilt,
    "other-data": _other_data,
}

"""Checkpoints of a training run: written in one piece, the same bytes for the same state, no pickle.

Owns the file format and which checkpoints lie on the disk. A checkpoint holds the adapter's tensors, the optimizer's
state and the course of training; the number of steps is the state of schedule, order and dropout.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from ctai.errors import CtaiError
from ctai.records import TrainingStep
from ctai.rundir import disk_errors, write_bytes

_NAME = re.compile(r"step-(\d{6})\.safetensors")
_PLAIN = "plain"  # one key only: the order of several is not fixed in the file
_TENSOR = "tensor:"


class Checkpoint(NamedTuple):
    """What a training run goes on from: adapter tensors, `state_dict()` of the optimizer, and the steps that are done."""

    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    steps: list[TrainingStep]


def found(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a folder by their number of steps."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("step-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint; see `ctai.rundir.write_bytes`."""
    tensors: dict[str, torch.Tensor] = {}
    plain = {
        "adapter": _without_tensors(checkpoint.adapter, "adapter", tensors),
        "optimizer": _without_tensors(checkpoint.optimizer, "optimizer", tensors),
        "steps": [step.model_dump(mode="json") for step in checkpoint.steps],
    }
    data = safetensors.torch.save(tensors, metadata={_PLAIN: json.dumps(plain, sort_keys=True)})
    write_bytes(folder / f"step-{len(checkpoint.steps):06d}.safetensors", data)


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint, on the CPU; None if there is none.

    Raises:
        CtaiError: it cannot be read.
    """
    checkpoints = found(folder)
    if not checkpoints:
        return None
    _, path = checkpoints[-1]
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118, it is no dict
            plain = json.loads(opened.metadata()[_PLAIN])
        adapter, optimizer = (_with_tensors(plain[part], tensors) for part in ("adapter", "optimizer"))
        return Checkpoint(adapter, optimizer, [TrainingStep.model_validate(step) for step in plain["steps"]])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CtaiError(
            f"checkpoint {path} cannot be read ({error}); remove it to go on from the one before"
        ) from error


def prune(folder: Path, kept: Sequence[int]) -> None:
    """Remove the checkpoints after other numbers of steps, but the newest: a crashed run goes on from there."""
    with disk_errors(f"cannot clean {folder}"):
        for steps, path in found(folder)[:-1]:
            if steps not in kept:
                path.unlink()


def _without_tensors(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """A state as JSON holds it: a dict as pairs, since keys may be numbers; a tensor as its name, and put into `tensors`."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)  # tables may be shared
        return f"{_TENSOR}{name}"
    if isinstance(value, dict):
        return {"pairs": [[key, _without_tensors(inner, f"{name}.{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(inner, f"{name}.{at}", tensors) for at, inner in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_TENSOR):
        return tensors[value.removeprefix(_TENSOR)]
    if isinstance(value, dict):
        return {key: _with_tensors(inner, tensors) for key, inner in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(inner, tensors) for inner in value]
    return value

"""Checkpoints of a training run: atomic, deterministic files in safetensors format, no pickle.

Owns the file format and the retention of checkpoints. A checkpoint holds adapter tensors, optimizer state, the records
of steps and evaluations, and the best adapter so far; schedule, data order and dropout follow from the number of steps.
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
from ctai.records import DevEvaluation, TrainingStep
from ctai.rundir import disk_errors, write_bytes

_NAME = re.compile(r"step-(\d{6})\.safetensors")
_PLAIN = "plain"  # one key only: the order of several is not fixed in the file
_TENSOR = "tensor:"


class Checkpoint(NamedTuple):
    """State of a training run.

    Attributes:
        adapter: tensors of the adapter.
        optimizer: `state_dict()` of the optimizer.
        steps: the finished steps.
        evaluations: on the development split.
        best: tensors of the adapter with the lowest development loss; empty if the last adapter is kept.
    """

    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    steps: list[TrainingStep]
    evaluations: list[DevEvaluation]
    best: dict[str, torch.Tensor]


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return the checkpoints in a folder with their number of steps, in order."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("step-*"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint atomically; see `ctai.rundir.write_bytes`."""
    tensors: dict[str, torch.Tensor] = {}
    plain = {
        "adapter": _without_tensors(checkpoint.adapter, "adapter", tensors),
        "optimizer": _without_tensors(checkpoint.optimizer, "optimizer", tensors),
        "best": _without_tensors(checkpoint.best, "best", tensors),
        "steps": [step.model_dump(mode="json") for step in checkpoint.steps],
        "evaluations": [evaluation.model_dump(mode="json") for evaluation in checkpoint.evaluations],
    }
    data = safetensors.torch.save(tensors, metadata={_PLAIN: json.dumps(plain, sort_keys=True)})
    write_bytes(folder / f"step-{len(checkpoint.steps):06d}.safetensors", data)


def load_newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint with its tensors on the CPU; None if there is none.

    Raises:
        CtaiError: the checkpoint cannot be read.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        return None
    _, path = checkpoints[-1]
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            plain = json.loads(file.metadata()[_PLAIN])
        adapter, optimizer, best = (_with_tensors(plain[part], tensors) for part in ("adapter", "optimizer", "best"))
        steps = [TrainingStep.model_validate(step) for step in plain["steps"]]
        evaluations = [DevEvaluation.model_validate(evaluation) for evaluation in plain["evaluations"]]
        return Checkpoint(adapter, optimizer, steps, evaluations, best)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CtaiError(
            f"checkpoint {path} cannot be read ({error}). Remove it to resume from the previous one"
        ) from error


def prune_checkpoints(folder: Path, retained_steps: Sequence[int]) -> None:
    """Remove all checkpoints but those after `retained_steps` and the newest, from which a killed run resumes."""
    with disk_errors(f"cannot clean {folder}"):
        for steps, path in list_checkpoints(folder)[:-1]:
            if steps not in retained_steps:
                path.unlink()


def _without_tensors(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return a JSON form of a state: dicts as pairs, since keys may be numbers; tensors as names, moved to `tensors`."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)  # tables may be shared
        return f"{_TENSOR}{name}"
    if isinstance(value, dict):
        return {"pairs": [[key, _without_tensors(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_TENSOR):
        return tensors[value.removeprefix(_TENSOR)]
    if isinstance(value, dict):
        return {key: _with_tensors(item, tensors) for key, item in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    return value

"""Recomputation of the development split of a training: its size, its evaluations, and the adapter that was kept."""

from collections.abc import Iterator
from typing import Any

from ctai.config import RunConfig
from ctai.prompts import Pair
from ctai.records import DevEvaluation, Example, TrainingManifest
from ctai.rundir import RunDir, read_jsonl
from ctai.rundir.diff import differences
from ctai.train.schedule import (
    best_evaluation,
    evaluation_interval,
    has_converged,
    is_evaluated,
    may_stop_early,
    steps_for,
)
from ctai.train.split import split_pairs


def development_differences(
    rundir: RunDir, folder: str, training: TrainingManifest, config: RunConfig
) -> Iterator[str]:
    """Yield where the manifest differs from the split of the dataset, the logged losses, or what follows from both.

    The losses are taken as recorded. That a pair was left out because of its length is too, since it takes the tokenizer:
    it counts as one of its part of the dataset.

    Args:
        rundir: the run directory.
        folder: of the adapter, relative to it.
        training: manifest of the training.
        config: of this attempt at training.
    """
    settings, name = config.training, f"{folder}/training_manifest.json"
    pairs = [Pair(example.instruction, example.response) for example in read_jsonl(rundir.dataset, Example)]
    split = split_pairs(pairs, settings, config.seed)
    trained = training.examples + _count(training, "left_out_too_long")
    held_out = training.dev_examples + _count(training, "dev_left_out_too_long")
    is_seeds_only = config.control == "seeds-only"  # its pairs are the seed pairs, not those of the dataset
    if not is_seeds_only and trained != len(split.training):
        yield f"{name}: counts {trained} training pairs, but the dataset gives {len(split.training)}"
    if (held_out, training.dev_note) != (len(split.dev), split.note):
        yield f"{name}: counts {held_out} pairs in the development split, but the dataset gives {len(split.dev)}"
    planned = steps_for(
        len(split.training) if is_seeds_only else training.examples, settings.epochs, settings.batch_size
    )
    evaluations = read_jsonl(rundir.path(folder, "dev_loss.jsonl"), DevEvaluation)
    expected = _expected(training, config, planned, evaluations)
    yield from differences({key: getattr(training, key) for key in expected}, expected, name)
    steps = [evaluation.step for evaluation in evaluations]
    interval = evaluation_interval(planned, settings)
    schedule = [step for step in range(1, min(training.steps, planned) + 1) if is_evaluated(step, planned, interval)]
    yield from differences(steps, schedule if training.dev_examples else [], f"{folder}/dev_loss.jsonl steps")


def _count(training: TrainingManifest, name: str) -> int:
    """Return a count among the hyperparameters; -1 for anything else, which no count equals."""
    count = training.hyperparameters.get(name, 0)
    return count if type(count) is int else -1


def _expected(
    training: TrainingManifest, config: RunConfig, planned: int, evaluations: list[DevEvaluation]
) -> dict[str, Any]:
    """Return the fields of the manifest that follow from the number of steps and the development losses."""
    losses = [evaluation.loss for evaluation in evaluations]
    patience = config.training.early_stop_patience if may_stop_early(config.control) else 0
    ends = (evaluations[i].step for i in range(len(losses)) if has_converged(losses[: i + 1], patience))
    end = next(ends, planned)
    keeps_best = bool(losses) and may_stop_early(config.control)
    return {
        "planned_steps": planned,
        "steps": end,
        "dev_losses": losses,
        "stopped_early": end < planned,
        "kept_step": evaluations[best_evaluation(losses)].step if keeps_best else end,
    }

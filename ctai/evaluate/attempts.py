"""The looks of gate 4b at the test set: where each one lies, what it costs, and what a retry changes.

Owns the rules and the list of looks; training and comparing are `evaluation`'s.
"""

from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.records import TestSetComparison
from ctai.rundir import RunDir, read_jsonl, write_jsonl

# Every adapter that was ever compared on the run's test set, in order, relative to the run directory.
COMPARISONS = ("evidence", "looks.jsonl")


class AttemptPaths(NamedTuple):
    """Where one attempt at training and comparing lies."""

    adapter: Path
    results: Path
    evidence: Path


def attempt_paths(rundir: RunDir, attempt: int) -> AttemptPaths:
    """The folders of an attempt; those of a retry have names of their own, so that both looks stay on the disk."""
    suffix = f"-retry-{attempt}" if attempt else ""
    folders = (rundir.adapter_dir, rundir.results_dir, rundir.evidence / "evaluation")
    return AttemptPaths(*(folder.with_name(folder.name + suffix) for folder in folders))


def record_comparison(rundir: RunDir, adapter_digest: str) -> int:
    """Write down, before anything is compared, that this adapter looks at the test set; returns which look it is.

    The list is never shortened: an adapter of other settings is another look, in whatever session it is made.
    """
    path, look = rundir.path(*COMPARISONS), TestSetComparison(adapter_digest=adapter_digest)
    looks = read_jsonl(path, TestSetComparison) if path.exists() else []
    if look not in looks:
        looks.append(look)
        write_jsonl(path, looks)
    return looks.index(look) + 1


def comparison_number(rundir: RunDir, adapter_digest: str) -> int:
    """Which look at the test set an adapter was, from 1.

    Raises:
        CtaiError: the list of looks cannot be read, or does not hold it.
    """
    looks, look = (
        read_jsonl(rundir.path(*COMPARISONS), TestSetComparison),
        TestSetComparison(adapter_digest=adapter_digest),
    )
    if look not in looks:
        raise CtaiError(f"{'/'.join(COMPARISONS)} does not hold the adapter {adapter_digest[:12]} that was compared")
    return looks.index(look) + 1


def with_corrected_alpha(config: RunConfig, number: int) -> RunConfig:
    """The configuration of a look: the n-th has to reach the n-th part of alpha (Bonferroni, look by look)."""
    evaluation = config.evaluation.model_copy(update={"alpha": config.evaluation.alpha / number})
    return config.model_copy(update={"evaluation": evaluation})


def retry_config(config: RunConfig) -> RunConfig:
    """The configuration of the retry: a smaller learning rate for longer. No threshold is loosened."""
    training = config.training
    learning = training.model_copy(
        update={
            "learning_rate": training.learning_rate * training.retry_learning_rate_factor,
            "epochs": training.epochs * training.retry_epochs_factor,
        }
    )
    return config.model_copy(update={"training": learning})

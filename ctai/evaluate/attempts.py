"""Comparisons on the test set by gate evaluation: their record, the correction of alpha, and the retry settings.

Owns the list of comparisons and the folders of the attempts. Does not own training (`ctai.train`) or the comparison
(`ctai.evaluate.comparison`).
"""

from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.records import TestSetComparison
from ctai.rundir import RunDir, read_jsonl, write_jsonl


class AttemptPaths(NamedTuple):
    """Folders of one attempt at training and evaluation."""

    adapter: Path
    results: Path
    evidence: Path


def attempt_paths(rundir: RunDir, attempt: int) -> AttemptPaths:
    """Return the folders of an attempt; those of a retry have a suffix, so that no attempt overwrites another."""
    return AttemptPaths(
        rundir.adapter_dir_of(attempt), rundir.results_dir_of(attempt), rundir.evaluation_stage_dir(attempt)
    )


def record_comparison(rundir: RunDir, adapter_digest: str) -> int:
    """Record a comparison of this adapter on the test set before it is made, and return its number, from 1.

    The list is never shortened: another adapter is another comparison, in this session or a later one.

    Raises:
        CtaiError: the list of comparisons cannot be read.
    """
    path, comparison = rundir.comparisons, TestSetComparison(adapter_digest=adapter_digest)
    comparisons = read_jsonl(path, TestSetComparison) if path.exists() else []
    if comparison not in comparisons:
        comparisons.append(comparison)
        write_jsonl(path, comparisons)
    return comparisons.index(comparison) + 1


def comparison_number(rundir: RunDir, adapter_digest: str) -> int:
    """Return the number, from 1, of the comparison of an adapter on the test set.

    Raises:
        CtaiError: the list of comparisons cannot be read, or does not hold the adapter.
    """
    comparisons = read_jsonl(rundir.comparisons, TestSetComparison)
    comparison = TestSetComparison(adapter_digest=adapter_digest)
    if comparison not in comparisons:
        raise CtaiError(
            f"{rundir.relative(rundir.comparisons)} does not hold the adapter {adapter_digest[:12]} that was compared"
        )
    return comparisons.index(comparison) + 1


def with_corrected_alpha(config: RunConfig, number: int) -> RunConfig:
    """Return the configuration of the n-th comparison: alpha divided by n (Bonferroni, applied sequentially).

    Args:
        config: of the run.
        number: n, from 1.
    """
    evaluation = config.evaluation.model_copy(update={"alpha": config.evaluation.alpha / number})
    return config.model_copy(update={"evaluation": evaluation})


def retry_config(config: RunConfig) -> RunConfig:
    """Return the configuration of the retry: a lower learning rate and more epochs. No threshold is relaxed."""
    training = config.training
    retry = training.model_copy(
        update={
            "learning_rate": training.learning_rate * training.retry_learning_rate_factor,
            "epochs": training.epochs * training.retry_epochs_factor,
        }
    )
    return config.model_copy(update={"training": retry})

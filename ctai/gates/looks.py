"""The looks of gate 4b at the test set: where each one lies, and what the second one changes.

Owns the rules only; training and comparing are `evaluation`'s.
"""

from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.rundir import RunDir


class Look(NamedTuple):
    """Where one attempt at training and comparing lies."""

    adapter: Path
    results: Path
    evidence: Path


def look_at(rundir: RunDir, attempt: int) -> Look:
    """The folders of an attempt; those of a retry have names of their own, so that both looks stay on the disk."""
    suffix = f"-retry-{attempt}" if attempt else ""
    folders = (rundir.adapter_dir, rundir.results_dir, rundir.evidence / "evaluation")
    return Look(*(folder.with_name(folder.name + suffix) for folder in folders))


def tuned(config: RunConfig) -> RunConfig:
    """The configuration of the retry: a smaller learning rate for longer, and half the alpha for the second look.

    No threshold is loosened, and both looks together are wrong in at most 1.5 alpha of the cases (Bonferroni).
    """
    training, evaluation = config.training, config.evaluation
    learning = training.model_copy(
        update={
            "learning_rate": training.learning_rate * training.retry_learning_rate_factor,
            "epochs": training.epochs * training.retry_epochs_factor,
        }
    )
    stricter = evaluation.model_copy(update={"alpha": evaluation.alpha / 2})
    return config.model_copy(update={"training": learning, "evaluation": stricter})

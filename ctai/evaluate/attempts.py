"""Comparisons on the test set by gate evaluation: their record, the correction of alpha, and the retry settings.

Owns the numbers of comparisons and the folders of the attempts. Does not own the ledger file (`ctai.evaluate.ledger`),
training (`ctai.train`) or the comparison (`ctai.evaluate.comparison`).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.ledger import ComparisonLedger
from ctai.model.sources import adapter_tensors_digest
from ctai.records import Example, HeldoutItem, TestSetComparison
from ctai.rundir import RunDir, digest_of, read_jsonl, stream_jsonl, write_jsonl


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


class ComparisonIdentity(NamedTuple):
    """Digests of contents that identify a comparison on a test set; see `TestSetComparison`."""

    adapter_tensors_digest: str
    training_pairs_digest: str
    test_set_digest: str
    base_weights_digest: str

    def numbered(self, number: int) -> TestSetComparison:
        """Return the record of the comparison with its number."""
        return TestSetComparison(**self._asdict(), number=number)


def comparison_identity(
    rundir: RunDir, adapter: Path, heldout: Sequence[HeldoutItem], base_weights_digest: str
) -> ComparisonIdentity:
    """Return the identity of the comparison of an adapter with its base.

    Args:
        rundir: with the training dataset.
        adapter: folder of the adapter.
        heldout: the frozen test set.
        base_weights_digest: digest of the weights of the base model.

    Raises:
        CtaiError: the adapter or the dataset cannot be read.
    """
    pairs = [[example.instruction, example.response] for example in stream_jsonl(rundir.dataset, Example)]
    return ComparisonIdentity(
        adapter_tensors_digest(adapter),
        digest_of(pairs),
        digest_of(sorted(item.instruction for item in heldout if item.split == "asked")),  # the others decide nothing
        base_weights_digest,
    )


def record_comparison(rundir: RunDir, identity: ComparisonIdentity, ledger: ComparisonLedger) -> int:
    """Record a comparison before it is made, in the ledger and in the run directory, and return its number, from 1.

    Both lists only grow. A comparison that the ledger holds keeps its number, in whatever run directory it is made. A
    number that the ledger cannot confirm, because the run directory comes from elsewhere, is raised to the next free one
    where that is larger.

    Raises:
        CtaiError: the ledger or the list in the run directory cannot be read or written.
    """
    with ledger.lock():
        outside, inside = ledger.read(), _recorded(rundir)
        comparison = identity.numbered(_number(identity, outside, inside))
        if comparison not in outside:  # before the run directory: a crash in between charges, it does not forget
            ledger.write([*outside, comparison])
        if comparison not in inside:
            write_jsonl(rundir.comparisons, [*inside, comparison])
    return comparison.number


def _recorded(rundir: RunDir) -> list[TestSetComparison]:
    return read_jsonl(rundir.comparisons, TestSetComparison) if rundir.comparisons.exists() else []


def _number(
    identity: ComparisonIdentity, outside: Sequence[TestSetComparison], inside: Sequence[TestSetComparison]
) -> int:
    """Return the number of a comparison from the ledger and the list in the run directory."""
    pool = identity.numbered(1).pool
    outside, inside = ([c for c in records if c.pool == pool] for records in (outside, inside))
    known = [c.number for c in (*outside, *inside) if c.identity == identity]
    is_confirmed = any(c.identity == identity for c in outside)
    taken = {c.number for c in (*outside, *inside) if c.identity != identity}  # twice only where a ledger was lost
    if known and max(known) not in taken and (is_confirmed or max(known) >= _next_number(outside)):
        return max(known)
    return _next_number([*outside, *inside])


def _next_number(comparisons: Sequence[TestSetComparison]) -> int:
    """Return the next number of a pool: above all numbers that were given out, and above the count of comparisons."""
    return 1 + max(len({c.identity for c in comparisons}), *(c.number for c in comparisons), 0)


def comparison_number(rundir: RunDir, identity: ComparisonIdentity) -> int:
    """Return the recorded number, from 1, of a comparison on the test set.

    Raises:
        CtaiError: the list of comparisons cannot be read, or does not hold this one.
    """
    known = [c.number for c in read_jsonl(rundir.comparisons, TestSetComparison) if c.identity == identity]
    if not known:
        raise CtaiError(
            f"{rundir.relative(rundir.comparisons)} does not hold the comparison of the adapter with tensors "
            f"{identity.adapter_tensors_digest[:12]}"
        )
    return max(known)


def control_number(attempt: int) -> int:
    """Return the number of a comparison of a control, which is not charged: its attempts are counted from 1."""
    return attempt + 1


def comparison_differences(rundir: RunDir) -> Iterator[str]:
    """Yield where the numbers in the run directory are too small for the comparisons that it lists.

    Raises:
        CtaiError: the list cannot be read.
    """
    pools: dict[tuple[str, str], dict[tuple[str, ...], int]] = {}
    for comparison in _recorded(rundir):
        numbers = pools.setdefault(comparison.pool, {})
        earlier = numbers.get(comparison.identity, 0)
        if comparison.number <= earlier:
            yield f"{rundir.relative(rundir.comparisons)}: a comparison is listed again without a larger number"
        numbers[comparison.identity] = max(earlier, comparison.number)
    for numbers in pools.values():
        for position, number in enumerate(sorted(numbers.values()), start=1):
            if number < position:
                yield (
                    f"{rundir.relative(rundir.comparisons)}: {len(numbers)} comparisons on one test set and base, but the "
                    f"number of comparison {position} is {number}"
                )


def alpha_of_comparison(alpha: float, number: int) -> float:
    """Return the significance level of the n-th comparison: alpha * 6 / (pi^2 n^2), which sums to alpha over all n.

    However many comparisons are made on one test set, the probability that the p-value of any of them gives a false GO
    stays below alpha (union bound; the series is that of Basel, as in the alpha spending of Foster and Stine 2008, JRSS B
    70:429). The 95% bounds of the other metrics, and the claims against rivals, are not corrected for the number of comparisons.

    Args:
        alpha: significance level of all comparisons together.
        number: n, from 1.
    """
    return alpha * 6 / (math.pi * number) ** 2


def with_corrected_alpha(config: RunConfig, number: int) -> RunConfig:
    """Return the configuration of the n-th comparison, whose alpha is `alpha_of_comparison`.

    Args:
        config: of the run.
        number: n, from 1.
    """
    alpha = alpha_of_comparison(config.evaluation.alpha, number)
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"alpha": alpha})})


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

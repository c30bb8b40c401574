"""Batch jobs: the prompts of one engine call, processed in batches within limits; and scoring of next tokens.

Owns the order of the prompts and the batch size, which depend on the call and its limits alone. Does not run the
generation loop (`ctai.model.inference.generation`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor
from transformers import DynamicCache

from ctai.model.inference.runner import Runner
from ctai.model.inference.sampling import shared_prefix_length

T = TypeVar("T")


class BatchLimits(NamedTuple):
    """Maximum size of a batch: rows, and tokens of all rows, each padded to the longest."""

    rows: int
    tokens: int


class BatchJob(ABC, Generic[T]):
    """One engine call: the results of its prompts, computed in batches.

    Args:
        runner: model calls.
        prompts: token ids of each prompt, not empty.
        budget: maximum number of tokens added to a prompt.

    Attributes:
        results: results so far, by item. An interrupted job can be run again and resumes with the pending items.
        in_flight: number of rows in the latest batch.
    """

    def __init__(self, runner: Runner, prompts: Sequence[Sequence[int]], budget: int) -> None:
        self.runner = runner
        self.prompts = prompts
        self._budget = budget
        self.results: dict[int, T] = {}
        self.in_flight = 1

    @abstractmethod
    def run(self, limits: BatchLimits) -> None:
        """Compute the results of all pending items."""

    def pending(self) -> list[int]:
        """Return the items without a result, longest first: neighbours of similar length need little padding."""
        items = [item for item in range(len(self.prompts)) if item not in self.results]
        return sorted(items, key=lambda item: -len(self.prompts[item]))

    def batch_size_for(self, item: int, limits: BatchLimits) -> int:
        """Return how many items of this length fit into a batch; at least 1."""
        return max(1, min(limits.rows, limits.tokens // (len(self.prompts[item]) + self._budget)))

    @property
    def columns(self) -> int:
        """Number of tokens of the longest prompt with its budget."""
        return max(map(len, self.prompts)) + self._budget

    def prefix(self) -> DynamicCache:
        """Compute keys and values of the prefix shared by all prompts; empty where the model does not support it."""
        self.in_flight = 1
        shared = shared_prefix_length(self.prompts) if self.runner.supports_prefix_sharing(self.columns) else 0
        return self.runner.prefix(self.prompts[0][:shared])


class ScoringJob(BatchJob[list[float]]):
    """Log-probabilities of given tokens as the next token of every prompt.

    Args:
        runner: model calls.
        prompts: token ids of each prompt, not empty.
        tokens: ids of the tokens to score, [k].
    """

    def __init__(self, runner: Runner, prompts: Sequence[Sequence[int]], tokens: Tensor) -> None:
        super().__init__(runner, prompts, 0)
        self._tokens = tokens

    def run(self, limits: BatchLimits) -> None:
        """Score all pending items."""
        pending = self.pending()
        prefix = self.prefix()
        while pending:
            size = self.batch_size_for(pending[0], limits)
            items, pending = pending[:size], pending[size:]
            self.in_flight = len(items)
            logits = self.runner.last_logits([self.prompts[item] for item in items], prefix)
            values = logits.double().log_softmax(-1)[:, self._tokens].tolist()
            self.results.update(zip(items, values, strict=True))

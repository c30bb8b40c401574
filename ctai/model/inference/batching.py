"""A call's work on prompts, cut into what fits into the model at once; and the scoring of next tokens.

Owns the order of the prompts and how many of them go in together: a function of the call and of the room alone.
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
    """How much may be inside the model at once: rows, and tokens of all rows, each padded to the longest."""

    rows: int
    tokens: int


class BatchJob(ABC, Generic[T]):
    """One call.

    Args:
        runner: calls the model.
        prompts: token ids, none empty.
        budget: how many tokens may be added to each.

    Attributes:
        done: the results so far, by item. Work that was broken off can be run again: what is done is not done twice.
        inside: how many rows were inside the model last.
    """

    def __init__(self, runner: Runner, prompts: Sequence[Sequence[int]], budget: int) -> None:
        self.runner = runner
        self.prompts = prompts
        self._budget = budget
        self.done: dict[int, T] = {}
        self.inside = 1

    @abstractmethod
    def run(self, room: BatchLimits) -> None:
        """Finish all that is waiting."""

    def waiting(self) -> list[int]:
        """The items that are not done, longest first: neighbours have about the same length, so little is padding."""
        items = [item for item in range(len(self.prompts)) if item not in self.done]
        return sorted(items, key=lambda item: -len(self.prompts[item]))

    def fitting(self, item: int, room: BatchLimits) -> int:
        """How many items like this one go into the model together; one in any case."""
        return max(1, min(room.rows, room.tokens // (len(self.prompts[item]) + self._budget)))

    @property
    def columns(self) -> int:
        """Tokens of the longest prompt and what may be added to it."""
        return max(map(len, self.prompts)) + self._budget

    def prefix(self) -> DynamicCache:
        """Keys and values of what all prompts of the call share, or of nothing where the model does not allow it."""
        self.inside = 1
        shared = shared_prefix_length(self.prompts) if self.runner.supports_prefix_sharing(self.columns) else 0
        return self.runner.prefix(self.prompts[0][:shared])


class ScoringJob(BatchJob[list[float]]):
    """Log-probabilities of some tokens (their ids) as the next token of every prompt."""

    def __init__(self, runner: Runner, prompts: Sequence[Sequence[int]], tokens: Tensor) -> None:
        super().__init__(runner, prompts, 0)
        self._tokens = tokens

    def run(self, room: BatchLimits) -> None:
        """Score all that is waiting."""
        waiting = self.waiting()
        prefix = self.prefix()
        while waiting:
            size = self.fitting(waiting[0], room)
            items, waiting = waiting[:size], waiting[size:]
            self.inside = len(items)
            logits = self.runner.last_logits([self.prompts[item] for item in items], prefix)
            values = logits.double().log_softmax(-1)[:, self._tokens].tolist()
            self.done.update(zip(items, values, strict=True))

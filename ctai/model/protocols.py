"""What generation, critic, evaluation and sentinels need of a model: a protocol, so that none of them needs torch.

`engine.Engine` is the one that runs a model.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ctai.records import Completion, Sampling


class TextEngine(Protocol):
    """What generation, critic, evaluation and sentinels need of a model."""

    @property
    def context_length(self) -> int:
        """The most tokens that a prompt and its completion may have together."""
        ...

    @property
    def batch_splits(self) -> int:
        """How often a batch had to be halved for want of memory."""
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many texts in one call, which takes a third of the time for short ones."""
        ...

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        """Continue each prompt.

        Args:
            prompts: plain text, not empty.
            sampling: how to generate.
            seeds: one for each prompt; without them prompt i has seed i. Greedy generation needs none.

        Raises:
            ContaminationError: a prompt holds a chat-control token.
            CtaiError: a prompt is empty, or longer with its budget than the context; or the model computes NaN.
        """
        ...

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Natural log-probabilities of the given tokens as the next token of each prompt.

        Returns:
            Array [len(prompts), len(token_ids)].

        Raises:
            ContaminationError, CtaiError: as `generate`.
        """
        ...

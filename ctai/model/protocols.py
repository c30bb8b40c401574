"""Interface of a model for generation, critic, evaluation and sentinels, so that none of them needs torch.

`ctai.model.inference.engine.Engine` implements it for transformers models.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ctai.records import Completion, Sampling


class TextEngine(Protocol):
    """Text generation and next-token scoring in completion mode."""

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a prompt and its completion together."""
        ...

    @property
    def batch_splits(self) -> int:
        """Number of times that a batch was halved because memory ran out."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text; one call takes a third of the time of one call per short text."""
        ...

    def count_prompt_tokens(self, prompts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each prompt as the model receives it, a beginning-of-sequence token included."""
        ...

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        """Continue each prompt.

        Args:
            prompts: plain texts, not empty.
            sampling: temperature, top-p, stop strings and token budget.
            seeds: one seed per prompt; by default prompt i has seed i. Greedy generation ignores them.

        Returns:
            One completion per prompt, in order.

        Raises:
            ContaminationError: a prompt holds a chat-control token.
            CtaiError: a prompt is empty or does not fit into the context with its budget, or the model computes NaN.
        """
        ...

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Return natural log-probabilities of the given tokens as the next token of each prompt.

        Returns:
            Array of shape [len(prompts), len(token_ids)].

        Raises:
            ContaminationError, CtaiError: as `generate`.
        """
        ...

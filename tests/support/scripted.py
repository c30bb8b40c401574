"""Scripted engine for unit tests: an implementation of the `TextEngine` protocol without a model.

Completions come from a function of the prompt, label probabilities from another; stop strings, the token budget, the
context length and finish reasons are applied as the real engine applies them.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ctai.errors import CtaiError
from ctai.records import Completion, FinishReason, Sampling

_PIECE = re.compile(r" ?\w+| ?[^\w\s]|\s")
_DEFAULT_PROBABILITY = 1e-9
END_OF_TEXT = 0


class ScriptedEngine:
    """Text engine that answers prompts from a script.

    Args:
        complete: raw text after a prompt, before stop strings and the budget truncate it.
        probabilities: next-token probabilities after a prompt, by token text (such as `{" A": 0.7, " B": 0.2}`); a
            missing token has probability 1e-9.
        context_length: context length in tokens.

    Attributes:
        prompts: every prompt sent, in order.
        seeds: seed of each generated item, in order; None for items without a seed.
    """

    def __init__(
        self,
        complete: Callable[[str], str] = lambda prompt: "",
        probabilities: Callable[[str], Mapping[str, float]] = lambda prompt: {},
        context_length: int = 4096,
    ) -> None:
        self._complete = complete
        self._probabilities = probabilities
        self._vocabulary: dict[str, int] = {"": END_OF_TEXT}
        self._context_length = context_length
        self.prompts: list[str] = []
        self.seeds: list[int | None] = []
        self.batch_splits = 0

    @property
    def context_length(self) -> int:
        return self._context_length

    def encode(self, text: str) -> list[int]:
        """Number words with their leading space, punctuation marks and whitespace in order of appearance."""
        return [self._vocabulary.setdefault(piece, len(self._vocabulary)) for piece in _PIECE.findall(text)]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def count_prompt_tokens(self, prompts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self.encode_batch(prompts)]

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        self.prompts += prompts
        self.seeds += list(seeds) if seeds is not None else [None] * len(prompts)
        return [self._complete_one(prompt, sampling) for prompt in prompts]

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        self.prompts += prompts
        texts = {number: piece for piece, number in self._vocabulary.items()}
        rows = [self._probabilities(prompt) for prompt in prompts]
        return np.array(
            [[math.log(row.get(texts.get(token, ""), _DEFAULT_PROBABILITY)) for token in token_ids] for row in rows],
            dtype=np.float64,
        ).reshape(len(prompts), len(token_ids))

    def _complete_one(self, prompt: str, sampling: Sampling) -> Completion:
        if len(self.encode(prompt)) + sampling.max_new_tokens > self._context_length:
            raise CtaiError("the prompt and its budget are longer than the context")
        pieces = _PIECE.findall(self._complete(prompt))
        finish: FinishReason = "eos" if len(pieces) < sampling.max_new_tokens else "length"
        raw = "".join(pieces[: sampling.max_new_tokens])
        text = raw
        positions = [raw.find(stop) for stop in sampling.stop if stop in raw]
        if positions:
            end = min(positions)
            text, finish = raw[:end], "stop"
            raw = next(raw[: end + len(stop)] for stop in sampling.stop if raw.startswith(stop, end))
        ids = (*self.encode(raw), END_OF_TEXT) if finish == "eos" else tuple(self.encode(raw))
        return Completion(text=text, raw=raw, token_ids=ids, finish_reason=finish)

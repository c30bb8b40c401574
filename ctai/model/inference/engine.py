"""The engine: batched generation and next-token log-probabilities of one causal language model, in completion mode.

Owns every call of a model that is not training. It adds no special token, checks the ids of every prompt with the
input guard before the model sees them, and never cuts a prompt. What is asked of the model is not its concern.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ctai.errors import CtaiError
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.batching import BatchJob, BatchLimits, ScoringJob
from ctai.model.inference.generation import GenerationJob
from ctai.model.inference.runner import Runner
from ctai.model.inference.sampling import StopMatcher
from ctai.records import Completion, Sampling

T = TypeVar("T")


class Engine:
    """Runs one model. It is made by the loader, on a model and a tokenizer that the loader has checked.

    Args:
        model: a transformers causal language model, or one with an adapter, in evaluation mode.
        tokenizer: its tokenizer, used without special tokens.
        guard: refuses prompts with chat-control tokens; these tokens also end a generation, since going on would
            feed them to the model.
        device: where the model is.
        batch_size: rows that may be inside the model at once.
        batch_tokens: tokens that may be, all rows padded to the longest and its completion.
        bos_id: a beginning-of-sequence token that the configuration allows by name, put before every prompt.

    Attributes:
        batch_splits: how often fewer rows had to be tried for want of memory.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        guard: InputGuard,
        device: str,
        batch_size: int = 64,
        batch_tokens: int = 32_768,
        bos_id: int | None = None,
    ) -> None:
        self._runner = Runner(model, device)
        self._tokenizer = tokenizer
        self._guard = guard
        self._device = device
        self._room = BatchLimits(batch_size, batch_tokens)
        self._bos_id = bos_id
        self._end_ids = frozenset(guard.control_ids) | _eos_ids(tokenizer)
        self._context_length = _context_length(model, tokenizer)
        self._suspended: str | None = None
        self.batch_splits = 0

    @property
    def context_length(self) -> int:
        """The most tokens that a prompt and its completion may have together."""
        return self._context_length

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; see `TextEngine.encode_batch`."""
        return list(self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]) if texts else []

    def on(self, model: Any) -> "Engine":
        """An engine with the same tokenizer, guard and settings on another model."""
        return Engine(model, self._tokenizer, self._guard, self._device, *self._room, self._bos_id)

    def suspend(self, reason: str | None) -> None:
        """Refuse every call with this reason from now on; None allows them again.

        For the loader: two engines can share weights that an adapter changes in place, and only one of them tells
        the truth at a time.
        """
        self._suspended = reason

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        """Continue each prompt; see `TextEngine.generate`."""
        rows = self._rows(prompts, sampling.max_new_tokens)
        seeds = range(len(rows)) if seeds is None else seeds
        if len(seeds) != len(rows):
            raise CtaiError(f"{len(rows)} prompts need as many seeds, not {len(seeds)}")
        if not rows:
            return []
        stops = StopMatcher(self._tokenizer, sampling.stop)
        work = GenerationJob(self._runner, rows, seeds, sampling, stops, self._end_ids, self._device)
        return self._results(work)

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Log-probabilities of the next token; see `TextEngine.token_logprobs`."""
        rows = self._rows(prompts, 0)
        columns = torch.tensor(list(token_ids), device=self._device, dtype=torch.long)
        values = self._results(ScoringJob(self._runner, rows, columns)) if rows else []
        return np.array(values, dtype=np.float64).reshape(len(rows), len(token_ids))

    def _rows(self, prompts: Sequence[str], budget: int) -> list[list[int]]:
        """Token ids of every prompt, checked."""
        if self._suspended is not None:
            raise CtaiError(self._suspended)
        first = [] if self._bos_id is None else [self._bos_id]
        rows = [[*first, *ids] for ids in self.encode_batch(prompts)]
        for index, ids in enumerate(rows):
            if not ids:
                raise CtaiError(f"prompt {index} is empty: completion mode needs at least one token to continue")
            if len(ids) + budget > self._context_length:
                raise CtaiError(
                    f"prompt {index} has {len(ids)} tokens and {budget} more are asked for, but the context of this "
                    f"model has {self._context_length}; shorten the prompt or lower max_new_tokens"
                )
        self._guard.check(rows)
        return rows

    def _results(self, work: BatchJob[T]) -> list[T]:
        """Do the work; what does not fit into memory is tried again with half as many rows."""
        room = self._room
        while work.waiting():
            try:
                with torch.inference_mode():
                    work.run(room)
            except torch.OutOfMemoryError as error:
                if work.inside == 1:
                    raise CtaiError("one prompt alone does not fit into the memory of the device") from error
                room = room._replace(rows=work.inside // 2)
                # Later calls are not let to fail at the same: what failed took a whole attempt.
                fits = min(self._room.tokens, room.rows * work.columns)
                self._room = self._room._replace(tokens=fits)
                self.batch_splits += 1
            # Outside the handler, so that the failed attempt's tensors are no longer held by its traceback.
            if work.waiting() and torch.cuda.is_available():
                torch.cuda.empty_cache()
        return [work.done[item] for item in range(len(work.prompts))]


def _eos_ids(tokenizer: Any) -> frozenset[int]:
    return frozenset() if tokenizer.eos_token_id is None else frozenset({int(tokenizer.eos_token_id)})


def _context_length(model: Any, tokenizer: Any) -> int:
    """From the model's configuration; else from the tokenizer."""
    for value in (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length):
        if isinstance(value, int) and 0 < value < 10**9:
            return value
    raise CtaiError("neither the model's configuration nor its tokenizer says how long the context is")

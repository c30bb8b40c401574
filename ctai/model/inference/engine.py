"""Inference engine: batched generation and next-token log-probabilities of a causal language model in completion mode.

Owns every model call except training. Adds no special tokens, checks the ids of every prompt with the input guard
before the model sees them, and never truncates a prompt. Does not know prompt formats (`ctai.prompts`).
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
    """Inference on one model, constructed by the loader from a checked model and tokenizer.

    Args:
        model: transformers causal language model in evaluation mode, with or without an adapter.
        tokenizer: tokenizer of the model, used without special tokens.
        guard: check of prompts for chat-control tokens; these tokens also end a generation, since continuing would
            send them to the model.
        device: device of the model.
        batch_size: maximum sequences per batch.
        batch_tokens: maximum tokens per batch, all sequences padded to the longest and its completion.
        bos_id: beginning-of-sequence token put before every prompt, if the configuration allows it.

    Attributes:
        batch_splits: number of times that a batch was halved because memory ran out.
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
        self._limits = BatchLimits(batch_size, batch_tokens)
        self._bos_id = bos_id
        self._end_ids = frozenset(guard.control_ids) | _eos_ids(tokenizer)
        self._context_length = _context_length(model, tokenizer)
        self._suspended: str | None = None
        self.batch_splits = 0

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a prompt and its completion together."""
        return self._context_length

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text; see `TextEngine.encode_batch`."""
        return list(self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]) if texts else []

    def count_prompt_tokens(self, prompts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each prompt; see `TextEngine.count_prompt_tokens`."""
        return [len(ids) + (self._bos_id is not None) for ids in self.encode_batch(prompts)]

    def for_model(self, model: Any) -> "Engine":
        """Return an engine for another model with the same tokenizer, guard and settings."""
        return Engine(model, self._tokenizer, self._guard, self._device, *self._limits, self._bos_id)

    def suspend(self, reason: str | None) -> None:
        """Refuse every call with this reason from now on; None allows calls again.

        Two engines can share weights that an adapter changes in place; only one of them is valid at a time.
        """
        self._suspended = reason

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        """Continue each prompt; see `TextEngine.generate`."""
        rows = self._tokenize(prompts, sampling.max_new_tokens)
        seeds = range(len(rows)) if seeds is None else seeds
        if len(seeds) != len(rows):
            raise CtaiError(f"{len(rows)} prompts, but {len(seeds)} seeds: give one seed for each prompt")
        if not rows:
            return []
        stops = StopMatcher(self._tokenizer, sampling.stop)
        return self._run(GenerationJob(self._runner, rows, seeds, sampling, stops, self._end_ids, self._device))

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Return log-probabilities of the next token; see `TextEngine.token_logprobs`."""
        rows = self._tokenize(prompts, 0)
        columns = torch.tensor(list(token_ids), device=self._device, dtype=torch.long)
        values = self._run(ScoringJob(self._runner, rows, columns)) if rows else []
        return np.array(values, dtype=np.float64).reshape(len(rows), len(token_ids))

    def _tokenize(self, prompts: Sequence[str], budget: int) -> list[list[int]]:
        """Tokenize the prompts, and check their length and control tokens."""
        if self._suspended is not None:
            raise CtaiError(self._suspended)
        bos = [] if self._bos_id is None else [self._bos_id]
        rows = [[*bos, *ids] for ids in self.encode_batch(prompts)]
        for index, ids in enumerate(rows):
            if not ids:
                raise CtaiError(f"prompt {index} is empty: completion mode needs at least one token to continue")
            if len(ids) + budget > self._context_length:
                raise CtaiError(
                    f"prompt {index} has {len(ids)} tokens, to generate {budget} more, but the context length of this "
                    f"model is {self._context_length}; shorten the prompt or lower max_new_tokens"
                )
        self._guard.check(rows)
        return rows

    def _run(self, job: BatchJob[T]) -> list[T]:
        """Run a job to its end; halve the batch size when memory runs out."""
        limits = self._limits
        while job.pending():
            try:
                with torch.inference_mode():
                    job.run(limits)
            except torch.OutOfMemoryError as error:
                if job.in_flight == 1:
                    raise CtaiError(
                        "out of device memory with a single prompt. Shorten it, lower max_new_tokens or use a larger device"
                    ) from error
                limits = limits._replace(rows=job.in_flight // 2)
                # Later calls start from the reduced limit: a failed attempt costs as much as a successful one.
                tokens = min(self._limits.tokens, limits.rows * job.columns)
                self._limits = self._limits._replace(tokens=tokens)
                self.batch_splits += 1
            # Outside the handler, so that the traceback no longer holds the tensors of the failed attempt.
            if job.pending() and torch.cuda.is_available():
                torch.cuda.empty_cache()
        return [job.results[item] for item in range(len(job.prompts))]


def _eos_ids(tokenizer: Any) -> frozenset[int]:
    return frozenset() if tokenizer.eos_token_id is None else frozenset({int(tokenizer.eos_token_id)})


def _context_length(model: Any, tokenizer: Any) -> int:
    """Return the context length of the model configuration, or else of the tokenizer."""
    for value in (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length):
        if isinstance(value, int) and 0 < value < 10**9:
            return value
    raise CtaiError("unknown context length: set max_position_embeddings in the model's config.json")

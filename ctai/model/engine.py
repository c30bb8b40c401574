"""The engine: batched generation and next-token log-probabilities of one causal language model, in completion mode.

Owns every call of a model that is not training. It adds no special token, checks the ids of every prompt with the
input guard before the model sees them, and never cuts a prompt. What is asked of the model is not its concern.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from ctai.errors import CtaiError
from ctai.model.contamination import InputGuard
from ctai.model.decoding import Sampler, StopMatcher, shared_prefix_length
from ctai.records import Completion, FinishReason, Sampling

T = TypeVar("T")


class _State(NamedTuple):
    """A batch inside the model: its cache, its attention mask [n, up to the last step] and each row's length [n]."""

    cache: DynamicCache
    mask: Tensor
    lengths: Tensor
    width: int

    def select(self, rows: Tensor) -> "_State":
        self.cache.batch_select_indices(rows)
        return self._replace(mask=self.mask[rows], lengths=self.lengths[rows])


class Engine:
    """Runs one model. It is made by the loader, on a model and a tokenizer that the loader has checked.

    Args:
        model: a transformers causal language model, or one with an adapter, in evaluation mode.
        tokenizer: its tokenizer, used without special tokens.
        guard: refuses prompts with chat-control tokens; these tokens also end a generation, since going on would
            feed them to the model.
        device: where the model is.
        batch_size: prompts a batch.
        bos_id: a beginning-of-sequence token that the configuration allows by name, put before every prompt.

    Attributes:
        batch_splits: how often a batch had to be halved for want of memory.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        guard: InputGuard,
        device: str,
        batch_size: int = 64,
        bos_id: int | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._guard = guard
        self._device = device
        self._batch_size = batch_size
        self._bos_id = bos_id
        self._end_ids = frozenset(guard.control_ids) | _eos_ids(tokenizer)
        self._context_length = _context_length(model, tokenizer)
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._accepts = frozenset(inspect.signature(base.forward).parameters)
        self._suspended: str | None = None
        self.batch_splits = 0

    @property
    def context_length(self) -> int:
        """The most tokens that a prompt and its completion may have together."""
        return self._context_length

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, without special tokens."""
        return len(self.encode(text))

    def on(self, model: Any) -> "Engine":
        """An engine with the same tokenizer, guard and settings on another model."""
        return Engine(model, self._tokenizer, self._guard, self._device, self._batch_size, self._bos_id)

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
        stops = StopMatcher(self._tokenizer, sampling.stop)

        def work(items: range) -> list[Completion]:
            chosen = [rows[i] for i in items]
            return self._generate_batch(chosen, sampling, [seeds[i] for i in items], stops)

        return self._in_batches(len(rows), work)

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Log-probabilities of the next token; see `TextEngine.token_logprobs`."""
        rows = self._rows(prompts, 0)
        columns = torch.tensor(list(token_ids), device=self._device, dtype=torch.long)

        def work(items: range) -> list[list[float]]:
            logits, _ = self._prefill([rows[i] for i in items], 0)
            values: list[list[float]] = logits.double().log_softmax(-1)[:, columns].tolist()
            return values

        values = self._in_batches(len(rows), work)
        return np.array(values, dtype=np.float64).reshape(len(rows), len(token_ids))

    def _rows(self, prompts: Sequence[str], budget: int) -> list[list[int]]:
        """Token ids of every prompt, checked."""
        if self._suspended is not None:
            raise CtaiError(self._suspended)
        if not prompts:
            return []
        encoded = self._tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
        first = [] if self._bos_id is None else [self._bos_id]
        rows = [[*first, *ids] for ids in encoded]
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

    def _in_batches(self, n: int, work: Callable[[range], list[T]]) -> list[T]:
        results: list[T] = []
        for start in range(0, n, self._batch_size):
            items = range(start, min(start + self._batch_size, n))
            results += self._with_halving(items, work)
        return results

    def _with_halving(self, items: range, work: Callable[[range], list[T]]) -> list[T]:
        """The results for these items; a batch that does not fit into memory is halved until it does."""
        try:
            with torch.inference_mode():
                return work(items)
        except torch.OutOfMemoryError as error:
            if len(items) == 1:
                raise CtaiError("one prompt alone does not fit into the memory of the device") from error
        # Outside the handler, so that the failed attempt's tensors are no longer held by its traceback.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.batch_splits += 1
        middle = len(items) // 2
        return self._with_halving(items[:middle], work) + self._with_halving(items[middle:], work)

    def _generate_batch(
        self, rows: list[list[int]], sampling: Sampling, seeds: Sequence[int], stops: StopMatcher
    ) -> list[Completion]:
        logits, state = self._prefill(rows, sampling.max_new_tokens)
        sampler = Sampler(sampling, rows, seeds, logits.shape[-1], self._device)
        outputs: list[list[int]] = [[] for _ in rows]
        reasons: list[FinishReason | None] = [None] * len(rows)
        places = list(range(len(rows)))  # the item in each row of the tensors
        filler = rows[0][0]
        for step in range(sampling.max_new_tokens):
            tokens = sampler.choose(logits)
            for place, token in zip(places, tokens.tolist(), strict=True):
                if reasons[place] is None:
                    outputs[place].append(token)
                    reasons[place] = self._finish(outputs[place], stops)
            alive = [row for row, place in enumerate(places) if reasons[place] is None]
            if not alive or step + 1 == sampling.max_new_tokens:
                break
            if len(alive) <= 0.75 * len(places):
                kept = torch.tensor(alive, device=self._device)
                places, tokens, state = [places[row] for row in alive], tokens[kept], state.select(kept)
                sampler.keep(kept)
            elif len(alive) < len(places):
                # What a finished row chose must not go into the model: it may be a chat-control token.
                done = [row for row, place in enumerate(places) if reasons[place] is not None]
                tokens[done] = filler
            logits, state = self._advance(tokens, state)
        return [self._completion(ids, reason, stops) for ids, reason in zip(outputs, reasons, strict=True)]

    def _finish(self, ids: list[int], stops: StopMatcher) -> FinishReason | None:
        if ids[-1] in self._end_ids:
            return "eos"
        return "stop" if stops.found(ids) else None

    def _completion(self, ids: list[int], reason: FinishReason | None, stops: StopMatcher) -> Completion:
        raw = stops.decode(ids[:-1] if reason == "eos" else ids)
        text = stops.cut(raw) if reason == "stop" else raw
        return Completion(
            text=raw if text is None else text, raw=raw, token_ids=tuple(ids), finish_reason=reason or "length"
        )

    def _prefill(self, rows: list[list[int]], budget: int) -> tuple[Tensor, _State]:
        """Run the prompts, what they share once; logits of the next token [n, vocabulary] and the state after them."""
        n, prefix = len(rows), shared_prefix_length(rows)
        cache = DynamicCache(config=self._model.config)
        if prefix:
            shared = torch.tensor([rows[0][:prefix]], device=self._device)
            self._forward(shared, torch.ones_like(shared), torch.arange(prefix, device=self._device)[None], cache)
            cache.batch_repeat_interleave(n)
        longest = max(map(len, rows)) - prefix
        # Padding is masked; its id is that of an ordinary token of the prompt, since a pad token can be a chat token.
        ids = torch.full((n, longest), rows[0][0])
        mask = torch.ones((n, prefix + longest + budget), dtype=torch.long)
        for row, tokens in enumerate(rows):
            own = len(tokens) - prefix
            ids[row, longest - own :] = torch.tensor(tokens[prefix:])
            mask[row, prefix : prefix + longest - own] = 0
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, prefix : prefix + longest]
        ids, mask, positions = ids.to(self._device), mask.to(self._device), positions.to(self._device)
        lengths = torch.tensor([len(tokens) for tokens in rows], device=self._device)
        state = _State(cache, mask, lengths, prefix + longest)
        return self._forward(ids, mask[:, : state.width], positions, cache), state

    def _advance(self, tokens: Tensor, state: _State) -> tuple[Tensor, _State]:
        width = state.width + 1
        logits = self._forward(tokens[:, None], state.mask[:, :width], state.lengths[:, None], state.cache)
        return logits, state._replace(width=width, lengths=state.lengths + 1)

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """One call of the model: logits of the last position, [n, vocabulary]."""
        optional = {"position_ids": positions, "logits_to_keep": 1}
        optional = {name: value for name, value in optional.items() if name in self._accepts}
        output = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **optional)
        logits: Tensor = output.logits[:, -1]
        if bool(logits.isnan().any()):
            raise CtaiError("the model computes NaN instead of logits: its weights or their quantization are broken")
        return logits


def _eos_ids(tokenizer: Any) -> frozenset[int]:
    return frozenset() if tokenizer.eos_token_id is None else frozenset({int(tokenizer.eos_token_id)})


def _context_length(model: Any, tokenizer: Any) -> int:
    """From the model's configuration; else from the tokenizer."""
    for value in (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length):
        if isinstance(value, int) and 0 < value < 10**9:
            return value
    raise CtaiError("neither the model's configuration nor its tokenizer says how long the context is")

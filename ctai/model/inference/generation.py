"""Generation loop with continuous batching: finished rows leave the batch and pending prompts take their places.

Owns the schedule of the rows. It depends on the call and its limits alone, so that the same call writes the same bytes
again. The text of an item does not depend on the schedule, except for floating-point noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctai.model.inference.batching import BatchJob, BatchLimits
from ctai.model.inference.kv_cache import BatchState, concat
from ctai.model.inference.runner import Runner
from ctai.model.inference.sampling import Sampler, StopMatcher
from ctai.records import Completion, FinishReason, Sampling

# Rows are moved in memory, to drop finished rows and add pending ones, once at most this share of the rows is active.
_COMPACT_BELOW = 0.75


@dataclass
class _ActiveBatch:
    """Items of the current batch, longest prompts first, and the logits of their next tokens, [n, vocabulary]."""

    items: list[int]
    state: BatchState
    sampler: Sampler
    logits: Tensor


class GenerationJob(BatchJob[Completion]):
    """Completions of the prompts of one call.

    Args:
        runner: model calls.
        prompts: token ids of each prompt, not empty.
        seeds: one seed per prompt.
        sampling: temperature, top-p, stop strings and token budget.
        stops: matcher of the stop strings.
        end_ids: tokens that end a completion.
        device: device of the model.
    """

    def __init__(
        self,
        runner: Runner,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[int],
        sampling: Sampling,
        stops: StopMatcher,
        end_ids: frozenset[int],
        device: str,
    ) -> None:
        super().__init__(runner, prompts, sampling.max_new_tokens)
        self._seeds = seeds
        self._sampling = sampling
        self._stops = stops
        self._end_ids = end_ids
        self._device = device

    def run(self, limits: BatchLimits) -> None:
        """Generate the completions of all pending items."""
        pending = self.pending()
        generated = {item: list[int]() for item in pending}
        prefix = self.prefix()
        batch: _ActiveBatch | None = None
        while pending or batch:
            size = self.batch_size_for(batch.items[0] if batch else pending[0], limits)
            self.in_flight = active = len(batch.items) if batch else 0
            if pending and (active == 0 or (self.runner.supports_concat and active <= _COMPACT_BELOW * size)):
                items, pending = pending[: size - active], pending[size - active :]
                self.in_flight += len(items)
                logits, state = self.runner.prefill([self.prompts[item] for item in items], prefix)
                batch = _merge(batch, _ActiveBatch(items, state, self._sampler(items, logits), logits))
            if batch:
                batch = self._step(batch, generated)

    def _sampler(self, items: list[int], logits: Tensor) -> Sampler:
        prompts, seeds = [self.prompts[item] for item in items], [self._seeds[item] for item in items]
        return Sampler(self._sampling, prompts, seeds, logits.shape[-1], self._device)

    def _step(self, batch: _ActiveBatch, generated: dict[int, list[int]]) -> _ActiveBatch | None:
        """Generate one token for every item of the batch; return None when all items are finished."""
        tokens = batch.sampler.choose(batch.logits)
        for item, token in zip(batch.items, tokens.tolist(), strict=True):
            if item not in self.results:
                generated[item].append(token)
                self._finish(item, generated[item])
        active = [row for row, item in enumerate(batch.items) if item not in self.results]
        if not active:
            return None
        if len(active) <= _COMPACT_BELOW * len(batch.items) or batch.sampler.is_exhausted:
            rows = torch.tensor(active, device=self._device)
            tokens, batch.state, batch.items = (
                tokens[rows],
                batch.state.select(rows),
                [batch.items[row] for row in active],
            )
            batch.sampler.select(rows)
        elif len(active) < len(batch.items):
            # The token of a finished row must not reach the model: it may be a chat-control token.
            finished = [row for row, item in enumerate(batch.items) if item in self.results]
            tokens[finished] = self.prompts[0][0]
        batch.logits, batch.state = self.runner.advance(tokens, batch.state)
        return batch

    def _finish(self, item: int, ids: list[int]) -> None:
        """Record the completion if its last token ends it."""
        reason: FinishReason
        if ids[-1] in self._end_ids:
            reason = "eos"
        elif self._stops.matches(ids):
            reason = "stop"
        elif len(ids) == self._sampling.max_new_tokens:
            reason = "length"
        else:
            return
        raw = self._stops.decode(ids[:-1] if reason == "eos" else ids)
        text = self._stops.truncate(raw) if reason == "stop" else raw
        self.results[item] = Completion(
            text=raw if text is None else text, raw=raw, token_ids=tuple(ids), finish_reason=reason
        )


def _merge(batch: _ActiveBatch | None, new: _ActiveBatch) -> _ActiveBatch:
    """Append the rows of a new batch to those of the current one."""
    if batch is None:
        return new
    batch.sampler.concat(new.sampler)
    logits = torch.cat([batch.logits, new.logits])
    return _ActiveBatch(batch.items + new.items, concat([batch.state, new.state]), batch.sampler, logits)

"""The generation loop of one call: prompts enter, write a token a step, and leave as soon as they are finished.

Owns what is inside the model at which step. It is a function of the call and of the room alone, so that the same call
writes the same bytes again; what an item becomes does not depend on it, but for the noise of floating point.
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

# Rows are moved in memory, to drop finished ones and let others in, once this share of the room is all that is in use.
_IN_USE = 0.75


@dataclass
class _ActiveBatch:
    """What is inside the model: items, and the logits of their next tokens [n, vocabulary]. Longest prompts first."""

    items: list[int]
    rows: BatchState
    sampler: Sampler
    logits: Tensor


class GenerationJob(BatchJob[Completion]):
    """Continues every prompt.

    Args:
        runner: calls the model.
        prompts: token ids.
        seeds: one for each prompt.
        sampling: how to generate.
        stops: finds its stop strings.
        end_ids: tokens that end a completion.
        device: where the model is.
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

    def run(self, room: BatchLimits) -> None:
        """Finish all that is waiting."""
        waiting = self.waiting()
        written = {item: list[int]() for item in waiting}
        prefix = self.prefix()
        batch: _ActiveBatch | None = None
        while waiting or batch:
            size = self.fitting(batch.items[0] if batch else waiting[0], room)
            self.inside = inside = len(batch.items) if batch else 0
            if waiting and (inside == 0 or (self.runner.supports_concat and inside <= _IN_USE * size)):
                items, waiting = waiting[: size - inside], waiting[size - inside :]
                self.inside += len(items)
                logits, rows = self.runner.prefill([self.prompts[item] for item in items], prefix)
                batch = _together(batch, _ActiveBatch(items, rows, self._sampler(items, logits), logits))
            if batch:
                batch = self._step(batch, written)

    def _sampler(self, items: list[int], logits: Tensor) -> Sampler:
        prompts, seeds = [self.prompts[item] for item in items], [self._seeds[item] for item in items]
        return Sampler(self._sampling, prompts, seeds, logits.shape[-1], self._device)

    def _step(self, batch: _ActiveBatch, written: dict[int, list[int]]) -> _ActiveBatch | None:
        """One more token for every item inside; None when that was the last of all."""
        tokens = batch.sampler.choose(batch.logits)
        for item, token in zip(batch.items, tokens.tolist(), strict=True):
            if item not in self.done:
                written[item].append(token)
                self._finish(item, written[item])
        alive = [row for row, item in enumerate(batch.items) if item not in self.done]
        if not alive:
            return None
        if len(alive) <= _IN_USE * len(batch.items) or batch.sampler.spent:
            kept = torch.tensor(alive, device=self._device)
            tokens, batch.rows, batch.items = tokens[kept], batch.rows.select(kept), [batch.items[row] for row in alive]
            batch.sampler.keep(kept)
        elif len(alive) < len(batch.items):
            # What a finished row chose must not go into the model: it may be a chat-control token.
            done = [row for row, item in enumerate(batch.items) if item in self.done]
            tokens[done] = self.prompts[0][0]
        batch.logits, batch.rows = self.runner.advance(tokens, batch.rows)
        return batch

    def _finish(self, item: int, ids: list[int]) -> None:
        """Record the completion if its last token ended it."""
        reason: FinishReason
        if ids[-1] in self._end_ids:
            reason = "eos"
        elif self._stops.found(ids):
            reason = "stop"
        elif len(ids) == self._sampling.max_new_tokens:
            reason = "length"
        else:
            return
        raw = self._stops.decode(ids[:-1] if reason == "eos" else ids)
        text = self._stops.cut(raw) if reason == "stop" else raw
        self.done[item] = Completion(
            text=raw if text is None else text, raw=raw, token_ids=tuple(ids), finish_reason=reason
        )


def _together(inside: _ActiveBatch | None, new: _ActiveBatch) -> _ActiveBatch:
    """What is inside with what enters."""
    if inside is None:
        return new
    inside.sampler.join(new.sampler)
    logits = torch.cat([inside.logits, new.logits])
    return _ActiveBatch(inside.items + new.items, concat([inside.rows, new.rows]), inside.sampler, logits)

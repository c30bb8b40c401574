"""Calls of the model: prompts in, logits of the next token out, the keys and values of the rows kept between calls.

Owns the tensors that go into a model and the check of what comes out. What is asked of the model, how tokens are chosen and
what may be inside at once is not its concern.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from ctai.errors import CtaiError
from ctai.model.inference.kv_cache import BatchState, concat, empty_cache, expand, supports_concat, supports_masked_gaps

# Tokens of one call with prompts. More than a thousand cost time on a processor, whose caches hold no more (64 prompts of a
# model of 135M parameters: 41 s with 1024, 43 s with 2048); on a GPU weights of 4 bits are unpacked once a call, which
# few tokens do not repay. What lies between the layers grows with them.
_CALL_TOKENS = {"cpu": 1024, "cuda": 8192}


class Runner:
    """Calls one causal language model.

    Args:
        model: a transformers causal language model, or one with an adapter, in evaluation mode.
        device: where it is.
    """

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._accepts = frozenset(inspect.signature(base.forward).parameters)
        self._call_tokens = _CALL_TOKENS[torch.device(device).type]
        self.supports_concat = supports_concat(self.empty_cache())

    def empty_cache(self) -> DynamicCache:
        """A cache that holds nothing."""
        return empty_cache(self._model.config)

    def supports_prefix_sharing(self, columns: int) -> bool:
        """Whether prompts of so many tokens, with what is added to them, can go on from one shared prefix.

        Not where the padding between the prefix and the rest would count: a model that takes no positions counts
        columns, and the window of GPT-Neo (`window_size`) is one that its cache does not know of.
        """
        window = getattr(self._model.config, "window_size", None) or columns
        return (
            "position_ids" in self._accepts and columns <= window and supports_masked_gaps(self.empty_cache(), columns)
        )

    def prefix(self, tokens: Sequence[int]) -> DynamicCache:
        """Run the tokens that all prompts share; their keys and values as one row."""
        cache = self.empty_cache()
        if tokens:
            ids = torch.tensor([list(tokens)], device=self._device)
            self._forward(ids, torch.ones_like(ids), torch.arange(len(tokens), device=self._device)[None], cache)
        return cache

    def prefill(self, prompts: Sequence[Sequence[int]], prefix: DynamicCache) -> tuple[Tensor, BatchState]:
        """Run prompts, whose first tokens are those of the prefix, in calls of about as many tokens as pay.

        Returns:
            Logits of the next token [n, vocabulary], and the rows after the prompts.
        """
        parts = [self._prefill(group, prefix) for group in self._groups(prompts, prefix.get_seq_length())]
        return torch.cat([logits for logits, _ in parts]), concat([rows for _, rows in parts])

    def last_logits(self, prompts: Sequence[Sequence[int]], prefix: DynamicCache) -> Tensor:
        """As `prefill`, but the rows are forgotten at once."""
        groups = self._groups(prompts, prefix.get_seq_length())
        return torch.cat([self._prefill(group, prefix)[0] for group in groups])

    def advance(self, tokens: Tensor, rows: BatchState) -> tuple[Tensor, BatchState]:
        """Run one more token of each row, [n]; returns as `prefill`."""
        after = rows.advanced()
        return self._forward(tokens[:, None], after.mask, rows.lengths[:, None], rows.cache), after

    def _groups(self, prompts: Sequence[Sequence[int]], prefix: int) -> Iterator[Sequence[Sequence[int]]]:
        size = max(1, self._call_tokens // max(len(prompt) - prefix for prompt in prompts))
        if not self.supports_concat:
            size = len(prompts)
        for start in range(0, len(prompts), size):
            yield prompts[start : start + size]

    def _prefill(self, prompts: Sequence[Sequence[int]], shared: DynamicCache) -> tuple[Tensor, BatchState]:
        n, prefix = len(prompts), shared.get_seq_length()
        cache = expand(shared, n) if prefix else self.empty_cache()
        longest = max(map(len, prompts)) - prefix
        # Padding is masked; its id is that of an ordinary token of the prompt, since a pad token can be a chat token.
        ids = torch.full((n, longest), prompts[0][0])
        mask = torch.ones((n, prefix + longest), dtype=torch.long)
        for row, tokens in enumerate(prompts):
            own = len(tokens) - prefix
            ids[row, longest - own :] = torch.tensor(tokens[prefix:])
            mask[row, prefix : prefix + longest - own] = 0
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, prefix:]
        ids, mask, positions = ids.to(self._device), mask.to(self._device), positions.to(self._device)
        lengths = torch.tensor([len(tokens) for tokens in prompts], device=self._device)
        return self._forward(ids, mask, positions, cache), BatchState(cache, mask, lengths)

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """One call of the model: logits of the last position, [n, vocabulary]."""
        optional = {"position_ids": positions, "logits_to_keep": 1}
        optional = {name: value for name, value in optional.items() if name in self._accepts}
        output = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **optional)
        logits: Tensor = output.logits[:, -1]
        if bool(logits.isnan().any()):
            raise CtaiError("the model computes NaN instead of logits: its weights or their quantization are broken")
        return logits

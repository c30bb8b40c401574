"""Model calls: padded input tensors, the shared prefix, and logits of the next token with a KV cache.

Owns the input tensors of a model and the NaN check of its outputs. Does not choose tokens
(`ctai.model.inference.sampling`) or batch sizes (`ctai.model.inference.batching`).
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from ctai.errors import CtaiError
from ctai.model.inference.kv_cache import BatchState, concat, empty_cache, expand, supports_concat, supports_masked_gaps

# Tokens of one prefill call. More than a thousand are slower on a CPU, whose caches hold no more (64 prompts of a model
# of 135M parameters: 41 s with 1024, 43 s with 2048); on a GPU each call dequantizes the 4-bit weights, which few tokens do
# not amortize. The memory of the activations grows with the number.
_CALL_TOKENS = {"cpu": 1024, "cuda": 8192}


class Runner:
    """Calls of one causal language model.

    Args:
        model: transformers causal language model in evaluation mode, with or without an adapter.
        device: device of the model.
    """

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._accepts = frozenset(inspect.signature(base.forward).parameters)
        self._call_tokens = _CALL_TOKENS[torch.device(device).type]
        self.supports_concat = supports_concat(self.empty_cache())

    def empty_cache(self) -> DynamicCache:
        """Return an empty KV cache for the model."""
        return empty_cache(self._model.config)

    def supports_prefix_sharing(self, columns: int) -> bool:
        """Return whether prompts of at most this many tokens, completion included, can continue a shared prefix.

        Not where the padding between the prefix and the rest would count: a model without position ids counts columns,
        and the cache of GPT-Neo does not know its window (`window_size`).
        """
        window = getattr(self._model.config, "window_size", None) or columns
        return (
            "position_ids" in self._accepts and columns <= window and supports_masked_gaps(self.empty_cache(), columns)
        )

    def prefix(self, tokens: Sequence[int]) -> DynamicCache:
        """Run the shared tokens of all prompts; return their keys and values as one row."""
        cache = self.empty_cache()
        if tokens:
            ids = torch.tensor([list(tokens)], device=self._device)
            self._forward(ids, torch.ones_like(ids), torch.arange(len(tokens), device=self._device)[None], cache)
        return cache

    def prefill(self, prompts: Sequence[Sequence[int]], prefix: DynamicCache) -> tuple[Tensor, BatchState]:
        """Run prompts that start with the tokens of the prefix, in calls of limited size.

        Args:
            prompts: token ids of each prompt, the prefix included.
            prefix: keys and values of the shared tokens, from `prefix`.

        Returns:
            Logits of the next token, [n, vocabulary], and the state after the prompts.
        """
        parts = [self._prefill(group, prefix) for group in self._groups(prompts, prefix.get_seq_length())]
        return torch.cat([logits for logits, _ in parts]), concat([state for _, state in parts])

    def last_logits(self, prompts: Sequence[Sequence[int]], prefix: DynamicCache) -> Tensor:
        """Return the logits of `prefill` without keeping the state."""
        groups = self._groups(prompts, prefix.get_seq_length())
        return torch.cat([self._prefill(group, prefix)[0] for group in groups])

    def advance(self, tokens: Tensor, state: BatchState) -> tuple[Tensor, BatchState]:
        """Run one more token of each row, [n]; return logits and state as `prefill`."""
        after = state.advance()
        return self._forward(tokens[:, None], after.mask, state.lengths[:, None], state.cache), after

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
        # Padding is masked and uses an ordinary token of the prompt, since a pad token can be a chat-control token.
        ids = torch.full((n, longest), prompts[0][0])
        mask = torch.ones((n, prefix + longest), dtype=torch.long)
        for row, tokens in enumerate(prompts):
            padding = longest - (len(tokens) - prefix)
            ids[row, padding:] = torch.tensor(tokens[prefix:])
            mask[row, prefix : prefix + padding] = 0
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, prefix:]
        ids, mask, positions = ids.to(self._device), mask.to(self._device), positions.to(self._device)
        lengths = torch.tensor([len(tokens) for tokens in prompts], device=self._device)
        return self._forward(ids, mask, positions, cache), BatchState(cache, mask, lengths)

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Call the model once; return the logits of the last position, [n, vocabulary]."""
        optional = {"position_ids": positions, "logits_to_keep": 1}
        optional = {name: value for name, value in optional.items() if name in self._accepts}
        output = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **optional)
        logits: Tensor = output.logits[:, -1]
        if bool(logits.isnan().any()):
            raise CtaiError("the model computes NaN instead of logits: its weights or their quantization are broken")
        return logits

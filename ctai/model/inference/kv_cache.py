"""KV cache for continuous batching; rows are added and removed between steps.

Owns the memory layout of a batch. Does not schedule its rows (`ctai.model.inference.generation`).
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_SPARE_COLUMNS = 32


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # the library is untyped here
    """Keys and values of one layer in preallocated buffers, [rows, heads, columns, head width].

    `DynamicLayer` copies all columns for every token: two thirds of the time of a step with 64 rows of 200 tokens,
    measured on two models.
    """

    keys: Tensor
    values: Tensor
    _buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append columns; return all keys and all values."""
        rows, _, new, _ = key_states.shape
        used = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self._buffers is None or used + new > self._buffers[0].shape[-2]:
            old = (self.keys, self.values)
            buffers = self.allocate(key_states, value_states, rows, used + new)
            for target, source in zip(buffers, old, strict=True):
                if used:
                    target[:, :, :used] = source
        else:
            self.keys, self.values = (buffer[:, :, : used + new] for buffer in self._buffers)
        self.keys[:, :, used:], self.values[:, :, used:] = key_states, value_states
        return self.keys, self.values

    def allocate(self, keys: Tensor, values: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Allocate buffers with spare columns; return the keys and values to be filled.

        Args:
            keys: template of the heads, width, type and device of the keys.
            values: template of the values.
            rows: number of rows.
            columns: number of columns in use.
        """
        self._buffers = (_buffer(keys, rows, columns + _SPARE_COLUMNS), _buffer(values, rows, columns + _SPARE_COLUMNS))
        self.keys, self.values = (buffer[:, :, :columns] for buffer in self._buffers)
        return self.keys, self.values

    def select(self, rows: Tensor, first: int) -> None:
        """Keep the given rows (indices) and their columns from `first` on."""
        old = (self.keys, self.values)
        buffers = self.allocate(*old, len(rows), self.get_seq_length() - first)
        for target, source in zip(buffers, old, strict=True):
            torch.index_select(source[:, :, first:], 0, rows, out=target)  # five times as fast as indexing, on a CPU

    def concat(self, parts: "Sequence[PreallocatedLayer]", columns: int) -> None:
        """Take over the rows of all parts, aligned at the right; unused columns are 0.

        The parts are empty afterwards, so that at most one layer at a time is in memory twice.
        """
        old = [(part.keys, part.values) for part in parts]
        for part in parts:
            part.clear()
        buffers = self.allocate(*old[0], sum(len(keys) for keys, _ in old), columns)
        for buffer, sources in zip(buffers, zip(*old, strict=True), strict=True):
            for target, source in zip(buffer.split([len(source) for source in sources]), sources, strict=True):
                padding = columns - source.shape[-2]
                target[:, :, :padding] = 0
                target[:, :, padding:] = source

    def clear(self) -> None:
        """Release the buffers; the layer is empty until the next update."""
        self.keys, self.values, self._buffers = self.keys.new_empty(0), self.values.new_empty(0), None

    def expand(self, n: int) -> None:
        """Repeat the single row n times; it is copied at the next update."""
        self.keys, self.values, self._buffers = self.keys.expand(n, -1, -1, -1), self.values.expand(n, -1, -1, -1), None


class BatchState(NamedTuple):
    """Rows of a batch between two steps.

    Attributes:
        cache: keys and values.
        mask: attention mask, [rows, columns], 1 where a column holds a token of the row.
        lengths: number of tokens of each row, [rows].
    """

    cache: DynamicCache
    mask: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Tensor) -> "BatchState":
        """Keep the given rows (indices) and drop the columns at the left that none of them uses."""
        mask = self.mask[rows]
        if supports_concat(self.cache):
            first = int(mask.any(0).int().argmax())
            mask = mask[:, first:]
            for layer in _initialized(self.cache):
                layer.select(rows, first)
        else:
            self.cache.batch_select_indices(rows)
        return BatchState(self.cache, mask, self.lengths[rows])

    def advance(self) -> "BatchState":
        """Return the state with one more token in each row, as input of the next model call."""
        mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        return BatchState(self.cache, mask, self.lengths + 1)


def empty_cache(config: Any) -> DynamicCache:
    """Return an empty cache for a model configuration, preallocated where all layers use full attention."""
    cache = DynamicCache(config=config)
    if all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [PreallocatedLayer() for _ in cache.layers]
    return cache


def expand(cache: DynamicCache, n: int) -> DynamicCache:
    """Copy a cache of one row and repeat the row n times."""
    cache = copy.deepcopy(cache)
    if supports_concat(cache):
        for layer in _initialized(cache):
            layer.expand(n)
    else:
        cache.batch_repeat_interleave(n)
    return cache


def supports_concat(cache: DynamicCache) -> bool:
    """Return whether rows can be added to a cache: only where every layer keeps all columns."""
    return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)


def supports_masked_gaps(cache: DynamicCache, columns: int) -> bool:
    """Return whether rows may hold masked columns between tokens, as they do after a shared prefix.

    Not with a sliding window shorter than the row, where masked columns would take the places of tokens, nor with
    layers that accumulate a state over all columns.

    Args:
        cache: cache of the model.
        columns: maximum number of columns of a row.
    """
    return all(
        isinstance(layer, PreallocatedLayer)
        or type(layer) is DynamicLayer
        or (type(layer) is DynamicSlidingWindowLayer and columns <= layer.sliding_window)
        for layer in cache.layers
    )


def concat(parts: list[BatchState]) -> BatchState:
    """Concatenate the rows of all parts, aligned at the right."""
    if len(parts) == 1:
        return parts[0]
    columns = max(part.mask.shape[1] for part in parts)
    cache = parts[0].cache
    for layers in zip(*(_initialized(part.cache) for part in parts), strict=True):
        layers[0].concat(layers, columns)
    mask = torch.cat([pad(part.mask, (columns - part.mask.shape[1], 0)) for part in parts])
    return BatchState(cache, mask, torch.cat([part.lengths for part in parts]))


def _initialized(cache: DynamicCache) -> list[PreallocatedLayer]:
    """Return the layers that hold keys and values."""
    return [layer for layer in cache.layers if layer.is_initialized]


def _buffer(like: Tensor, rows: int, columns: int) -> Tensor:
    return like.new_empty((rows, like.shape[1], columns, like.shape[3]))

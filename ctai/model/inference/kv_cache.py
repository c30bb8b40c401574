"""What a model holds while it generates: keys and values, mask and length of every row; rows leave and join.

Owns the memory layout of a batch. Which rows are in it, and when, is `engine`'s.
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


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # the library has no types here
    """Keys and values of one layer in buffers with room for more, [rows, heads, columns, width of a head].

    The library's own layer copies all of them for every token: two thirds of the time of a step with 64 rows of 200
    tokens, measured on two models.
    """

    keys: Tensor
    values: Tensor
    _buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write new columns behind the others; returns all keys and all values."""
        rows, _, new, _ = key_states.shape
        used = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self._buffers is None or used + new > self._buffers[0].shape[-2]:
            old = (self.keys, self.values)
            for fresh, held in zip(self.renew(key_states, value_states, rows, used + new), old, strict=True):
                if used:
                    fresh[:, :, :used] = held
        else:
            self.keys, self.values = (buffer[:, :, : used + new] for buffer in self._buffers)
        self.keys[:, :, used:], self.values[:, :, used:] = key_states, value_states
        return self.keys, self.values

    def renew(self, keys: Tensor, values: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Hold so many rows and columns, and have room for more; returns what is to be filled, keys and values.

        Args:
            keys: tell heads, width and kind of number.
            values: likewise.
            rows: how many.
            columns: how many are in use.
        """
        self._buffers = (_buffer(keys, rows, columns + _SPARE_COLUMNS), _buffer(values, rows, columns + _SPARE_COLUMNS))
        self.keys, self.values = (buffer[:, :, :columns] for buffer in self._buffers)
        return self.keys, self.values

    def select(self, kept: Tensor, first: int) -> None:
        """Keep these rows (their indices), from this column on."""
        held = (self.keys, self.values)
        fresh = self.renew(*held, len(kept), self.get_seq_length() - first)
        for new, old in zip(fresh, held, strict=True):
            torch.index_select(old[:, :, first:], 0, kept, out=new)  # five times as fast as indexing, on a processor

    def join(self, parts: "Sequence[PreallocatedLayer]", columns: int) -> None:
        """Take the rows of all these, aligned at the right; columns that a row does not use are 0.

        The others hold nothing afterwards: layer by layer, so that never more than one of them is in memory twice.
        """
        held = [(part.keys, part.values) for part in parts]
        for part in parts:
            part.forget()
        fresh = self.renew(*held[0], sum(len(keys) for keys, _ in held), columns)
        for new, olds in zip(fresh, zip(*held, strict=True), strict=True):
            for rows, old in zip(new.split([len(old) for old in olds]), olds, strict=True):
                padding = columns - old.shape[-2]
                rows[:, :, :padding] = 0
                rows[:, :, padding:] = old

    def forget(self) -> None:
        """Hold nothing, until something is written again."""
        self.keys, self.values, self._buffers = self.keys.new_empty(0), self.values.new_empty(0), None

    def repeat(self, n: int) -> None:
        """Hold the one row n times; it is copied when something is written behind it."""
        self.keys, self.values, self._buffers = self.keys.expand(n, -1, -1, -1), self.values.expand(n, -1, -1, -1), None


class BatchState(NamedTuple):
    """Rows inside the model.

    Attributes:
        cache: their keys and values.
        mask: [rows, columns], 1 where a column holds a token of the row.
        lengths: tokens of each row, [rows].
    """

    cache: DynamicCache
    mask: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, kept: Tensor) -> "BatchState":
        """These rows (their indices) only; columns at the left that none of them uses go too."""
        mask = self.mask[kept]
        if supports_concat(self.cache):
            first = int(mask.any(0).int().argmax())
            mask = mask[:, first:]
            for layer in _filled(self.cache):
                layer.select(kept, first)
        else:
            self.cache.batch_select_indices(kept)
        return BatchState(self.cache, mask, self.lengths[kept])

    def advanced(self) -> "BatchState":
        """With one more token in each row, as the model's next call must see them."""
        mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        return BatchState(self.cache, mask, self.lengths + 1)


def empty_cache(config: Any) -> DynamicCache:
    """A cache for a model of this configuration; its full-attention layers have room for more."""
    cache = DynamicCache(config=config)
    if all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [PreallocatedLayer() for _ in cache.layers]
    return cache


def expand(cache: DynamicCache, n: int) -> DynamicCache:
    """A copy of a cache of one row, for n rows."""
    cache = copy.deepcopy(cache)
    if supports_concat(cache):
        for layer in _filled(cache):
            layer.repeat(n)
    else:
        cache.batch_repeat_interleave(n)
    return cache


def supports_concat(cache: DynamicCache) -> bool:
    """Whether rows can be put beside those of a cache: not where a layer keeps other things than all columns."""
    return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)


def supports_masked_gaps(cache: DynamicCache, columns: int) -> bool:
    """Whether rows of so many columns may hold masked ones in their midst, as they do behind a shared prefix.

    Not where a layer sees only the nearest columns and a row is longer, since the masked ones would take the places of
    tokens; nor where a layer adds all columns up.
    """
    return all(
        isinstance(layer, PreallocatedLayer)
        or type(layer) is DynamicLayer
        or (type(layer) is DynamicSlidingWindowLayer and columns <= layer.sliding_window)
        for layer in cache.layers
    )


def concat(parts: list[BatchState]) -> BatchState:
    """All rows side by side, aligned at the right."""
    if len(parts) == 1:
        return parts[0]
    columns = max(part.mask.shape[1] for part in parts)
    cache = parts[0].cache
    for layers in zip(*(_filled(part.cache) for part in parts), strict=True):
        layers[0].join(layers, columns)
    mask = torch.cat([pad(part.mask, (columns - part.mask.shape[1], 0)) for part in parts])
    return BatchState(cache, mask, torch.cat([part.lengths for part in parts]))


def _filled(cache: DynamicCache) -> list[PreallocatedLayer]:
    """The layers that hold something."""
    return [layer for layer in cache.layers if layer.is_initialized]


def _buffer(like: Tensor, rows: int, columns: int) -> Tensor:
    return like.new_empty((rows, like.shape[1], columns, like.shape[3]))
